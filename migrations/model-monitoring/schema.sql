-- What the migrations make, written by deno task schemas: do not edit.

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

CREATE TABLE drift_windows (
  monitor text NOT NULL,
  model text NOT NULL,
  version integer NOT NULL,
  starts_at timestamp(3) with time zone NOT NULL,
  ends_at timestamp(3) with time zone NOT NULL,
  rows bigint DEFAULT 0 NOT NULL,
  status text DEFAULT 'too_few_rows'::text NOT NULL,
  revision integer DEFAULT 0 NOT NULL,
  features jsonb DEFAULT '[]'::jsonb NOT NULL,
  CONSTRAINT drift_windows_pkey PRIMARY KEY (monitor, model, version, starts_at, ends_at),
  CONSTRAINT drift_windows_status_check CHECK (status = ANY (ARRAY['ok'::text, 'breach'::text, 'too_few_rows'::text]))
);
CREATE INDEX drift_windows_by_time ON drift_windows USING btree (starts_at DESC, monitor);

CREATE TABLE idempotency_keys (
  endpoint text NOT NULL,
  key text NOT NULL,
  request_hash text NOT NULL,
  reply json,
  created_at timestamp(3) with time zone DEFAULT now() NOT NULL,
  CONSTRAINT idempotency_keys_pkey PRIMARY KEY (endpoint, key)
);
CREATE INDEX idempotency_keys_created_at ON idempotency_keys USING btree (created_at);

CREATE TABLE model_references (
  model text NOT NULL,
  version integer NOT NULL,
  project text NOT NULL,
  bins jsonb NOT NULL,
  CONSTRAINT model_references_pkey PRIMARY KEY (model, version)
);

CREATE TABLE outbox (
  id bigint GENERATED ALWAYS AS IDENTITY NOT NULL,
  subject text NOT NULL,
  headers jsonb DEFAULT '{}'::jsonb NOT NULL,
  payload bytea NOT NULL,
  message_id text NOT NULL,
  CONSTRAINT outbox_pkey PRIMARY KEY (id)
);

CREATE TABLE prediction_boots (
  instance text NOT NULL,
  boot text NOT NULL,
  model text NOT NULL,
  received bigint NOT NULL,
  last_sequence bigint NOT NULL,
  head bigint DEFAULT 0 NOT NULL,
  closed boolean DEFAULT false NOT NULL,
  first_seen_at timestamp(3) with time zone DEFAULT now() NOT NULL,
  last_seen_at timestamp(3) with time zone DEFAULT now() NOT NULL,
  CONSTRAINT prediction_boots_pkey PRIMARY KEY (instance, boot, model)
);

CREATE TABLE predictions (
  id text NOT NULL,
  served_at timestamp(3) with time zone NOT NULL,
  at timestamp(3) with time zone NOT NULL,
  project text,
  model text NOT NULL,
  version integer,
  arm text,
  outcome text NOT NULL,
  error text,
  output double precision,
  entity jsonb,
  features jsonb NOT NULL,
  "position" bigint,
  latency_ms double precision NOT NULL,
  traceparent text,
  assigned text,
  rerouted text,
  shadow_of text,
  code text,
  statuses jsonb DEFAULT '{}'::jsonb NOT NULL,
  marks jsonb DEFAULT '{}'::jsonb NOT NULL,
  features_from text,
  sample double precision DEFAULT 1 NOT NULL,
  probabilities jsonb,
  CONSTRAINT predictions_pkey PRIMARY KEY (served_at, id),
  CONSTRAINT predictions_outcome_check CHECK (outcome = ANY (ARRAY['ok'::text, 'error'::text]))
) PARTITION BY RANGE (served_at);
CREATE INDEX predictions_by_model ON ONLY predictions USING btree (model, version, at);

CREATE TABLE window_counts (
  monitor text NOT NULL,
  model text NOT NULL,
  version integer NOT NULL,
  starts_at timestamp(3) with time zone NOT NULL,
  name text NOT NULL,
  counts bigint[] NOT NULL,
  ends_at timestamp(3) with time zone NOT NULL,
  CONSTRAINT window_counts_pkey PRIMARY KEY (monitor, model, version, starts_at, ends_at, name)
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
