-- What the migrations make, written by deno task schemas: do not edit.

CREATE TABLE counts (
  source text NOT NULL,
  day date NOT NULL,
  clean bigint DEFAULT 0 NOT NULL,
  filtered bigint DEFAULT 0 NOT NULL,
  quarantined bigint DEFAULT 0 NOT NULL,
  duplicates bigint DEFAULT 0 NOT NULL,
  warned bigint DEFAULT 0 NOT NULL,
  CONSTRAINT counts_pkey PRIMARY KEY (source, day)
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

CREATE TABLE filtered_counts (
  source text NOT NULL,
  day date NOT NULL,
  reason text NOT NULL,
  records bigint NOT NULL,
  CONSTRAINT filtered_counts_pkey PRIMARY KEY (source, day, reason)
);

CREATE TABLE handled_messages (
  sequence bigint NOT NULL,
  received_at timestamp(3) with time zone NOT NULL,
  cleaning integer,
  handled_at timestamp(3) with time zone DEFAULT now() NOT NULL,
  CONSTRAINT handled_messages_pkey PRIMARY KEY (sequence, received_at)
);
CREATE INDEX handled_messages_by_age ON handled_messages USING btree (handled_at);

CREATE TABLE idempotency_keys (
  endpoint text NOT NULL,
  key text NOT NULL,
  request_hash text NOT NULL,
  reply json,
  created_at timestamp(3) with time zone DEFAULT now() NOT NULL,
  CONSTRAINT idempotency_keys_pkey PRIMARY KEY (endpoint, key)
);
CREATE INDEX idempotency_keys_created_at ON idempotency_keys USING btree (created_at);

CREATE TABLE outbox (
  id bigint GENERATED ALWAYS AS IDENTITY NOT NULL,
  subject text NOT NULL,
  headers jsonb DEFAULT '{}'::jsonb NOT NULL,
  payload bytea NOT NULL,
  message_id text NOT NULL,
  CONSTRAINT outbox_pkey PRIMARY KEY (id)
);

CREATE TABLE quarantined (
  number bigint GENERATED ALWAYS AS IDENTITY NOT NULL,
  source text NOT NULL,
  id text NOT NULL,
  definition integer NOT NULL,
  run text DEFAULT ''::text NOT NULL,
  cleaning integer NOT NULL,
  event_time timestamp(3) with time zone NOT NULL,
  known_at timestamp(3) with time zone NOT NULL,
  data json NOT NULL,
  reasons json NOT NULL,
  CONSTRAINT quarantined_pkey PRIMARY KEY (number),
  CONSTRAINT quarantined_source_id_definition_run_key UNIQUE (source, id, definition, run)
);
CREATE INDEX quarantined_by_source ON quarantined USING btree (source, number);

CREATE TABLE seen_events (
  source text NOT NULL,
  id text NOT NULL,
  definition integer NOT NULL,
  run text DEFAULT ''::text NOT NULL,
  sequence bigint NOT NULL,
  CONSTRAINT seen_events_pkey PRIMARY KEY (source, id, definition, run)
);

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
