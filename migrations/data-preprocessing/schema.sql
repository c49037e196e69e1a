-- What the migrations make, written by deno task schemas: do not edit.

CREATE TABLE blocks (
  source text NOT NULL,
  project text,
  since timestamp(3) with time zone NOT NULL,
  at timestamp(3) with time zone DEFAULT clock_timestamp() NOT NULL,
  reasons text[] NOT NULL,
  held bigint DEFAULT 0 NOT NULL,
  held_bytes bigint DEFAULT 0 NOT NULL,
  released_at timestamp(3) with time zone,
  released_by text,
  release_reason text,
  CONSTRAINT blocks_pkey PRIMARY KEY (source)
);

CREATE TABLE cleaned_events (
  scope bigint NOT NULL,
  id text NOT NULL,
  sequence bigint NOT NULL,
  seen_on date DEFAULT ((now() AT TIME ZONE 'UTC'::text))::date NOT NULL,
  CONSTRAINT cleaned_events_pkey PRIMARY KEY (scope, id)
);

CREATE TABLE clock_marks (
  number bigint GENERATED ALWAYS AS IDENTITY NOT NULL,
  project text NOT NULL,
  clock timestamp(3) with time zone NOT NULL,
  CONSTRAINT clock_marks_pkey PRIMARY KEY (number)
);

CREATE TABLE counts (
  source text NOT NULL,
  day date NOT NULL,
  clean bigint DEFAULT 0 NOT NULL,
  filtered bigint DEFAULT 0 NOT NULL,
  quarantined bigint DEFAULT 0 NOT NULL,
  duplicates bigint DEFAULT 0 NOT NULL,
  warned bigint DEFAULT 0 NOT NULL,
  run text DEFAULT ''::text NOT NULL,
  exploded bigint DEFAULT 0 NOT NULL,
  held bigint DEFAULT 0 NOT NULL,
  received bigint DEFAULT 0 NOT NULL,
  CONSTRAINT counts_pkey PRIMARY KEY (run, source, day)
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

CREATE TABLE entity_states (
  source text NOT NULL,
  entity text NOT NULL,
  event_time timestamp(3) with time zone NOT NULL,
  id text NOT NULL,
  known_at timestamp(3) with time zone NOT NULL,
  cleaning integer NOT NULL,
  data json NOT NULL,
  kept_at timestamp(3) with time zone DEFAULT now() NOT NULL,
  CONSTRAINT entity_states_pkey PRIMARY KEY (source, entity, event_time, id)
);

CREATE TABLE filtered_counts (
  source text NOT NULL,
  day date NOT NULL,
  reason text NOT NULL,
  records bigint NOT NULL,
  run text DEFAULT ''::text NOT NULL,
  CONSTRAINT filtered_counts_pkey PRIMARY KEY (run, source, day, reason)
);

CREATE TABLE handled_messages (
  sequence bigint NOT NULL,
  received_at timestamp(3) with time zone NOT NULL,
  cleaning integer,
  handled_at timestamp(3) with time zone DEFAULT now() NOT NULL,
  stream text DEFAULT 'INGESTED'::text NOT NULL,
  settled boolean DEFAULT false NOT NULL,
  CONSTRAINT handled_messages_pkey PRIMARY KEY (stream, sequence, received_at)
);
CREATE INDEX handled_messages_by_age ON handled_messages USING btree (handled_at);

CREATE TABLE held_batches (
  number bigint GENERATED ALWAYS AS IDENTITY NOT NULL,
  source text NOT NULL,
  sequence bigint NOT NULL,
  received_at timestamp(3) with time zone NOT NULL,
  project text,
  clock timestamp(3) with time zone,
  events json NOT NULL,
  records integer NOT NULL,
  CONSTRAINT held_batches_pkey PRIMARY KEY (number)
);
CREATE INDEX held_batches_in_order ON held_batches USING btree (source, received_at, sequence);

CREATE TABLE idempotency_keys (
  endpoint text NOT NULL,
  key text NOT NULL,
  request_hash text NOT NULL,
  reply json,
  created_at timestamp(3) with time zone DEFAULT now() NOT NULL,
  CONSTRAINT idempotency_keys_pkey PRIMARY KEY (endpoint, key)
);
CREATE INDEX idempotency_keys_created_at ON idempotency_keys USING btree (created_at);

CREATE TABLE leases (
  name text NOT NULL,
  holder text NOT NULL,
  until timestamp(3) with time zone NOT NULL,
  CONSTRAINT leases_pkey PRIMARY KEY (name)
);

CREATE TABLE outbox (
  id bigint GENERATED ALWAYS AS IDENTITY NOT NULL,
  subject text NOT NULL,
  headers jsonb DEFAULT '{}'::jsonb NOT NULL,
  payload bytea NOT NULL,
  message_id text NOT NULL,
  CONSTRAINT outbox_pkey PRIMARY KEY (id)
);

CREATE TABLE profile_parts (
  number bigint GENERATED ALWAYS AS IDENTITY NOT NULL,
  source text NOT NULL,
  project text,
  window_ms bigint NOT NULL,
  starts_at timestamp(3) with time zone NOT NULL,
  records integer NOT NULL,
  newest_at timestamp(3) with time zone NOT NULL,
  statistics bytea,
  CONSTRAINT profile_parts_pkey PRIMARY KEY (number)
);
CREATE INDEX profile_parts_by_window ON profile_parts USING btree (source, window_ms, starts_at);

CREATE TABLE profile_series (
  source text NOT NULL,
  window_ms bigint NOT NULL,
  judged_until timestamp(3) with time zone NOT NULL,
  CONSTRAINT profile_series_pkey PRIMARY KEY (source, window_ms)
);

CREATE TABLE profile_windows (
  source text NOT NULL,
  window_ms bigint NOT NULL,
  starts_at timestamp(3) with time zone NOT NULL,
  records bigint DEFAULT 0 NOT NULL,
  statistics bytea,
  anomalies json DEFAULT '[]'::json NOT NULL,
  changed_at timestamp(3) with time zone DEFAULT now() NOT NULL,
  CONSTRAINT profile_windows_pkey PRIMARY KEY (source, window_ms, starts_at)
);
CREATE INDEX profile_windows_by_age ON profile_windows USING btree (changed_at);

CREATE TABLE profiled_sources (
  source text NOT NULL,
  project text,
  newest_at timestamp(3) with time zone NOT NULL,
  CONSTRAINT profiled_sources_pkey PRIMARY KEY (source)
);

CREATE TABLE project_clocks (
  project text NOT NULL,
  clock timestamp(3) with time zone NOT NULL,
  CONSTRAINT project_clocks_pkey PRIMARY KEY (project)
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
  day date NOT NULL,
  project text,
  envelope json DEFAULT '{}'::json NOT NULL,
  items text[],
  CONSTRAINT quarantined_pkey PRIMARY KEY (number),
  CONSTRAINT quarantined_source_id_definition_run_key UNIQUE (source, id, definition, run)
);
CREATE INDEX quarantined_by_source ON quarantined USING btree (source, number);

CREATE TABLE replay_cleanings (
  run text NOT NULL,
  source text NOT NULL,
  cleaning integer NOT NULL,
  pinned_at timestamp(3) with time zone DEFAULT now() NOT NULL,
  CONSTRAINT replay_cleanings_pkey PRIMARY KEY (run, source)
);
CREATE INDEX replay_cleanings_by_age ON replay_cleanings USING btree (pinned_at);

CREATE TABLE source_concerns (
  source text NOT NULL,
  kind text NOT NULL,
  concern text NOT NULL,
  message text NOT NULL,
  since timestamp(3) with time zone NOT NULL,
  CONSTRAINT source_concerns_pkey PRIMARY KEY (source, kind, concern)
);

CREATE TABLE used_keys (
  key uuid NOT NULL,
  event_time timestamp(3) with time zone NOT NULL,
  id text NOT NULL,
  keep_until timestamp(3) with time zone NOT NULL,
  CONSTRAINT used_keys_pkey PRIMARY KEY (key, event_time, id)
);
CREATE INDEX used_keys_by_end ON used_keys USING btree (keep_until);

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
