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

CREATE TABLE pipeline_runs (
  id uuid NOT NULL,
  pipeline text NOT NULL,
  project text NOT NULL,
  model text NOT NULL,
  trigger_kind text NOT NULL,
  trigger_reference text NOT NULL,
  status text NOT NULL,
  error text,
  steps jsonb NOT NULL,
  started_at timestamp(3) with time zone NOT NULL,
  finished_at timestamp(3) with time zone,
  CONSTRAINT pipeline_runs_pkey PRIMARY KEY (id),
  CONSTRAINT pipeline_runs_pipeline_trigger_kind_trigger_reference_key UNIQUE (pipeline, trigger_kind, trigger_reference),
  CONSTRAINT pipeline_runs_status_check CHECK (status = ANY (ARRAY['running'::text, 'promoted'::text, 'kept'::text, 'failed'::text, 'skipped'::text])),
  CONSTRAINT pipeline_runs_trigger_kind_check CHECK (trigger_kind = ANY (ARRAY['alert'::text, 'schedule'::text, 'manual'::text]))
);
CREATE INDEX pipeline_runs_by_time ON pipeline_runs USING btree (started_at DESC, id DESC);
CREATE INDEX pipeline_runs_running ON pipeline_runs USING btree (started_at) WHERE status = 'running'::text;

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
