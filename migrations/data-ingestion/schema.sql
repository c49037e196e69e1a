-- What the migrations make, written by deno task schemas: do not edit.

CREATE TABLE clocks (
  project text NOT NULL,
  now timestamp(3) with time zone NOT NULL,
  CONSTRAINT clocks_pkey PRIMARY KEY (project)
);

CREATE TABLE definitions (
  kind text NOT NULL,
  name text NOT NULL,
  version integer NOT NULL,
  project text NOT NULL,
  body json NOT NULL,
  body_hash text NOT NULL,
  actor text NOT NULL,
  changed_at timestamp(3) with time zone DEFAULT now() NOT NULL,
  removed_at timestamp(3) with time zone,
  removed_by text,
  CONSTRAINT definitions_pkey PRIMARY KEY (kind, name, version),
  CONSTRAINT definitions_check CHECK ((removed_at IS NULL) = (removed_by IS NULL)),
  CONSTRAINT definitions_version_check CHECK (version > 0)
);

CREATE TABLE duplicates (
  source text NOT NULL,
  id text NOT NULL,
  sequence bigint,
  "position" integer NOT NULL,
  request uuid,
  arrived_at timestamp(3) with time zone NOT NULL,
  CONSTRAINT duplicates_sequence_arrived_at_position_key UNIQUE (sequence, arrived_at, "position"),
  CONSTRAINT duplicates_check CHECK ((sequence IS NULL) <> (request IS NULL))
);

CREATE TABLE event_keys (
  source text NOT NULL,
  id text NOT NULL,
  sequence bigint,
  "position" integer NOT NULL,
  arrived_at timestamp(3) with time zone NOT NULL,
  CONSTRAINT event_keys_pkey PRIMARY KEY (source, id)
);

CREATE TABLE events (
  source text NOT NULL,
  id text NOT NULL,
  event_time timestamp(3) with time zone NOT NULL,
  known_at timestamp(3) with time zone NOT NULL,
  arrived_at timestamp(3) with time zone NOT NULL,
  definition integer NOT NULL,
  sequence bigint,
  "position" integer NOT NULL,
  data json NOT NULL
) PARTITION BY RANGE (arrived_at);
CREATE INDEX events_by_sequence ON ONLY events USING btree (sequence) WHERE sequence IS NOT NULL;

CREATE TABLE idempotency_keys (
  endpoint text NOT NULL,
  key text NOT NULL,
  request_hash text NOT NULL,
  reply json,
  created_at timestamp(3) with time zone DEFAULT now() NOT NULL,
  CONSTRAINT idempotency_keys_pkey PRIMARY KEY (endpoint, key)
);
CREATE INDEX idempotency_keys_created_at ON idempotency_keys USING btree (created_at);

CREATE TABLE ledger (
  source text NOT NULL,
  day date NOT NULL,
  stored bigint DEFAULT 0 NOT NULL,
  rejected bigint DEFAULT 0 NOT NULL,
  duplicates bigint DEFAULT 0 NOT NULL,
  CONSTRAINT ledger_pkey PRIMARY KEY (source, day)
);

CREATE TABLE outbox (
  id bigint GENERATED ALWAYS AS IDENTITY NOT NULL,
  subject text NOT NULL,
  headers jsonb DEFAULT '{}'::jsonb NOT NULL,
  payload bytea NOT NULL,
  message_id text NOT NULL,
  CONSTRAINT outbox_pkey PRIMARY KEY (id)
);

CREATE TABLE rejected (
  number bigint GENERATED ALWAYS AS IDENTITY NOT NULL,
  source text NOT NULL,
  sequence bigint,
  "position" integer NOT NULL,
  request uuid,
  arrived_at timestamp(3) with time zone NOT NULL,
  data json,
  text text,
  reasons json NOT NULL,
  CONSTRAINT rejected_pkey PRIMARY KEY (number),
  CONSTRAINT rejected_sequence_arrived_at_position_key UNIQUE (sequence, arrived_at, "position"),
  CONSTRAINT rejected_check CHECK ((sequence IS NULL) <> (request IS NULL)),
  CONSTRAINT rejected_check1 CHECK (data IS NULL OR text IS NULL)
);
CREATE INDEX rejected_by_source ON rejected USING btree (source, number);

CREATE VIEW current_definitions AS
 SELECT definitions.kind,
    definitions.name,
    definitions.version,
    definitions.project,
    definitions.body,
    definitions.body_hash,
    definitions.actor,
    definitions.changed_at
   FROM definitions
     JOIN ( SELECT definitions_1.kind,
            definitions_1.name,
            max(definitions_1.version) AS version
           FROM definitions definitions_1
          GROUP BY definitions_1.kind, definitions_1.name) newest USING (kind, name, version)
  WHERE definitions.removed_at IS NULL;
