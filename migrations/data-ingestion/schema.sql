-- What the migrations make, written by deno task schemas: do not edit.

CREATE TABLE clocks (
  project text NOT NULL,
  now timestamp(3) with time zone NOT NULL,
  CONSTRAINT clocks_pkey PRIMARY KEY (project)
);

CREATE TABLE dead_letters (
  sequence bigint NOT NULL,
  arrived_at timestamp(3) with time zone NOT NULL,
  source text NOT NULL,
  CONSTRAINT dead_letters_pkey PRIMARY KEY (sequence, arrived_at)
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
CREATE UNIQUE INDEX duplicates_by_request ON duplicates USING btree (request, "position") WHERE request IS NOT NULL;

CREATE TABLE entity_states (
  source text NOT NULL,
  entity text NOT NULL,
  event_time timestamp(3) with time zone NOT NULL,
  known_at timestamp(3) with time zone NOT NULL,
  id text NOT NULL,
  arrived_at timestamp(3) with time zone NOT NULL,
  data json NOT NULL,
  CONSTRAINT entity_states_pkey PRIMARY KEY (source, entity, event_time, known_at, id)
);

CREATE TABLE event_keys (
  source text NOT NULL,
  id text NOT NULL,
  sequence bigint,
  "position" integer NOT NULL,
  arrived_at timestamp(3) with time zone NOT NULL,
  request uuid,
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
  data json NOT NULL,
  actor text,
  traceparent text,
  entity text
) PARTITION BY RANGE (arrived_at);
CREATE INDEX events_by_sequence ON ONLY events USING btree (sequence) WHERE sequence IS NOT NULL;
CREATE INDEX events_by_time ON ONLY events USING brin (event_time timestamptz_minmax_multi_ops) WITH (pages_per_range='32');

CREATE TABLE idempotency_keys (
  endpoint text NOT NULL,
  key text NOT NULL,
  request_hash text NOT NULL,
  reply json,
  created_at timestamp(3) with time zone DEFAULT now() NOT NULL,
  CONSTRAINT idempotency_keys_pkey PRIMARY KEY (endpoint, key)
);
CREATE INDEX idempotency_keys_created_at ON idempotency_keys USING btree (created_at);

CREATE TABLE intake_durable (
  one boolean DEFAULT true NOT NULL,
  created_at timestamp with time zone NOT NULL,
  last_sequence bigint NOT NULL,
  CONSTRAINT intake_durable_pkey PRIMARY KEY (one),
  CONSTRAINT intake_durable_one_check CHECK (one)
);

CREATE TABLE ledger (
  source text NOT NULL,
  day date NOT NULL,
  stored bigint DEFAULT 0 NOT NULL,
  rejected bigint DEFAULT 0 NOT NULL,
  duplicates bigint DEFAULT 0 NOT NULL,
  received bigint DEFAULT 0 NOT NULL,
  dead_lettered bigint DEFAULT 0 NOT NULL,
  removed bigint DEFAULT 0 NOT NULL,
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
  file text,
  line bigint,
  sealed text,
  altered boolean DEFAULT false NOT NULL,
  headers json DEFAULT '{}'::json NOT NULL,
  fallback_id text,
  clock timestamp(3) with time zone,
  CONSTRAINT rejected_pkey PRIMARY KEY (number),
  CONSTRAINT rejected_sequence_arrived_at_position_key UNIQUE (sequence, arrived_at, "position"),
  CONSTRAINT rejected_check CHECK ((sequence IS NULL) <> (request IS NULL)),
  CONSTRAINT rejected_file_check CHECK ((file IS NULL) = (line IS NULL)),
  CONSTRAINT rejected_payload_check CHECK (num_nonnulls(data, text, sealed) <= 1)
);
CREATE INDEX rejected_by_file ON rejected USING btree (file, number) WHERE file IS NOT NULL;
CREATE UNIQUE INDEX rejected_by_request ON rejected USING btree (request, "position") WHERE request IS NOT NULL;
CREATE INDEX rejected_by_source ON rejected USING btree (source, number);

CREATE TABLE removed_messages (
  source text NOT NULL,
  sequence bigint NOT NULL,
  arrived_at timestamp(3) with time zone NOT NULL,
  CONSTRAINT removed_messages_pkey PRIMARY KEY (sequence, arrived_at)
);

CREATE TABLE replays (
  run text NOT NULL,
  source text NOT NULL,
  project text NOT NULL,
  from_time timestamp(3) with time zone,
  until_time timestamp(3) with time zone,
  filter text,
  target text NOT NULL,
  rate double precision,
  pace double precision,
  state text DEFAULT 'running'::text NOT NULL,
  read bigint DEFAULT 0 NOT NULL,
  published bigint DEFAULT 0 NOT NULL,
  position_time timestamp(3) with time zone,
  position_id text,
  reason text,
  actor text NOT NULL,
  started_at timestamp(3) with time zone DEFAULT now() NOT NULL,
  finished_at timestamp(3) with time zone,
  owner uuid,
  leased_until timestamp with time zone,
  CONSTRAINT replays_pkey PRIMARY KEY (run),
  CONSTRAINT replays_check CHECK ((position_time IS NULL) = (position_id IS NULL)),
  CONSTRAINT replays_check1 CHECK ((state = 'running'::text) = (finished_at IS NULL)),
  CONSTRAINT replays_state_check CHECK (state = ANY (ARRAY['running'::text, 'done'::text, 'cancelled'::text, 'failed'::text]))
);
CREATE INDEX replays_by_start ON replays USING btree (started_at, run);
CREATE INDEX replays_to_run ON replays USING btree (started_at) WHERE state = 'running'::text;

CREATE TABLE retention_passes (
  name text NOT NULL,
  day date NOT NULL,
  block bigint DEFAULT 0 NOT NULL,
  done boolean DEFAULT false NOT NULL,
  CONSTRAINT retention_passes_pkey PRIMARY KEY (name)
);

CREATE TABLE uploads (
  upload uuid NOT NULL,
  source text NOT NULL,
  name text NOT NULL,
  format text NOT NULL,
  delimiter text NOT NULL,
  empty text NOT NULL,
  sha256 text,
  state text DEFAULT 'open'::text NOT NULL,
  "position" bigint DEFAULT 0 NOT NULL,
  line bigint DEFAULT 0 NOT NULL,
  records bigint DEFAULT 0 NOT NULL,
  header json,
  holder uuid,
  held_until timestamp(3) with time zone,
  actor text NOT NULL,
  started_at timestamp(3) with time zone DEFAULT now() NOT NULL,
  changed_at timestamp(3) with time zone DEFAULT now() NOT NULL,
  CONSTRAINT uploads_pkey PRIMARY KEY (upload),
  CONSTRAINT uploads_state_check CHECK (state = ANY (ARRAY['open'::text, 'complete'::text]))
);
CREATE INDEX uploads_by_change ON uploads USING btree (changed_at);
CREATE UNIQUE INDEX uploads_by_file ON uploads USING btree (source, sha256, format, delimiter, empty) WHERE sha256 IS NOT NULL;

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
