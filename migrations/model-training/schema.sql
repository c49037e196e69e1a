-- What the migrations make, written by deno task schemas: do not edit.

CREATE OR REPLACE FUNCTION public.refuse_to_rewrite_history()
 RETURNS trigger
 LANGUAGE plpgsql
AS $function$
begin
  raise exception 'Cannot % a row of %: history is only added to', lower(tg_op), tg_table_name;
end $function$;

CREATE TABLE alias_moves (
  model text NOT NULL,
  alias text NOT NULL,
  revision integer NOT NULL,
  version integer,
  actor text NOT NULL,
  reason text NOT NULL,
  evidence text NOT NULL,
  at timestamp(3) with time zone DEFAULT clock_timestamp() NOT NULL,
  id bigint GENERATED ALWAYS AS IDENTITY NOT NULL,
  kind text DEFAULT 'set'::text NOT NULL,
  CONSTRAINT alias_moves_pkey PRIMARY KEY (model, alias, revision),
  CONSTRAINT alias_moves_id_key UNIQUE (id),
  CONSTRAINT alias_moves_model_version_fkey FOREIGN KEY (model, version) REFERENCES versions(model, version),
  CONSTRAINT alias_moves_kind_check CHECK (kind = ANY (ARRAY['set'::text, 'rollback'::text, 'remove'::text])),
  CONSTRAINT alias_moves_reason_check CHECK (reason <> ''::text),
  CONSTRAINT alias_moves_removed CHECK (kind <> 'remove'::text OR version IS NULL),
  CONSTRAINT alias_moves_revision_check CHECK (revision > 0)
);
CREATE INDEX alias_moves_of_model ON alias_moves USING btree (model, id DESC);
CREATE INDEX alias_moves_of_version ON alias_moves USING btree (model, version, id DESC);

CREATE TABLE aliases (
  model text NOT NULL,
  alias text NOT NULL,
  version integer NOT NULL,
  revision integer NOT NULL,
  CONSTRAINT aliases_pkey PRIMARY KEY (model, alias),
  CONSTRAINT aliases_model_version_fkey FOREIGN KEY (model, version) REFERENCES versions(model, version),
  CONSTRAINT aliases_revision_check CHECK (revision > 0)
);
CREATE INDEX aliases_of_version ON aliases USING btree (model, version);

CREATE TABLE comparisons (
  id uuid NOT NULL,
  model text NOT NULL,
  candidate integer NOT NULL,
  against text NOT NULL,
  champion integer,
  training_set text NOT NULL,
  gate json NOT NULL,
  metric text NOT NULL,
  rows integer NOT NULL,
  judged_from timestamp(3) with time zone,
  judged_until timestamp(3) with time zone,
  candidate_value double precision,
  champion_value double precision,
  baseline_value double precision,
  gain double precision,
  passed boolean NOT NULL,
  reasons json NOT NULL,
  actor text NOT NULL,
  at timestamp(3) with time zone DEFAULT now() NOT NULL,
  slices json DEFAULT '[]'::json NOT NULL,
  CONSTRAINT comparisons_pkey PRIMARY KEY (id),
  CONSTRAINT comparisons_model_candidate_fkey FOREIGN KEY (model, candidate) REFERENCES versions(model, version),
  CONSTRAINT comparisons_model_champion_fkey FOREIGN KEY (model, champion) REFERENCES versions(model, version)
);
CREATE INDEX comparisons_of_candidate ON comparisons USING btree (model, candidate, id DESC);
CREATE INDEX comparisons_of_model ON comparisons USING btree (model, id DESC);

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

CREATE TABLE model_files (
  sha256 text NOT NULL,
  onnx bytea NOT NULL,
  CONSTRAINT model_files_pkey PRIMARY KEY (sha256)
);

CREATE TABLE models (
  name text NOT NULL,
  versions integer DEFAULT 0 NOT NULL,
  CONSTRAINT models_pkey PRIMARY KEY (name)
);

CREATE TABLE outbox (
  id bigint GENERATED ALWAYS AS IDENTITY NOT NULL,
  subject text NOT NULL,
  headers jsonb DEFAULT '{}'::jsonb NOT NULL,
  payload bytea NOT NULL,
  message_id text NOT NULL,
  CONSTRAINT outbox_pkey PRIMARY KEY (id)
);

CREATE TABLE released_files (
  sha256 text NOT NULL,
  owned boolean NOT NULL,
  since timestamp(3) with time zone DEFAULT clock_timestamp() NOT NULL,
  CONSTRAINT released_files_pkey PRIMARY KEY (sha256)
);
CREATE INDEX released_files_by_time ON released_files USING btree (since);

CREATE TABLE run_artifacts (
  run uuid NOT NULL,
  name text NOT NULL,
  sha256 text NOT NULL,
  bytes bigint NOT NULL,
  media_type text NOT NULL,
  at timestamp(3) with time zone DEFAULT clock_timestamp() NOT NULL,
  owned boolean DEFAULT false NOT NULL,
  CONSTRAINT run_artifacts_pkey PRIMARY KEY (run, name),
  CONSTRAINT run_artifacts_run_fkey FOREIGN KEY (run) REFERENCES runs(id)
);
CREATE INDEX run_artifacts_of_file ON run_artifacts USING btree (sha256);

CREATE TABLE run_events (
  run uuid NOT NULL,
  sequence integer NOT NULL,
  event json NOT NULL,
  CONSTRAINT run_events_pkey PRIMARY KEY (run, sequence),
  CONSTRAINT run_events_run_fkey FOREIGN KEY (run) REFERENCES runs(id)
);

CREATE TABLE run_logs (
  run uuid NOT NULL,
  sequence bigint GENERATED ALWAYS AS IDENTITY NOT NULL,
  at timestamp(3) with time zone DEFAULT clock_timestamp() NOT NULL,
  line text NOT NULL,
  CONSTRAINT run_logs_pkey PRIMARY KEY (run, sequence),
  CONSTRAINT run_logs_run_fkey FOREIGN KEY (run) REFERENCES runs(id)
);

CREATE TABLE run_metrics (
  run uuid NOT NULL,
  name text NOT NULL,
  step bigint NOT NULL,
  value double precision NOT NULL,
  CONSTRAINT run_metrics_pkey PRIMARY KEY (run, name, step),
  CONSTRAINT run_metrics_run_fkey FOREIGN KEY (run) REFERENCES runs(id)
);

CREATE TABLE run_parameters (
  run uuid NOT NULL,
  name text NOT NULL,
  value jsonb NOT NULL,
  CONSTRAINT run_parameters_pkey PRIMARY KEY (run, name),
  CONSTRAINT run_parameters_run_fkey FOREIGN KEY (run) REFERENCES runs(id)
);
CREATE INDEX runs_of_parameter ON run_parameters USING btree (name, value);

CREATE TABLE run_results (
  run uuid NOT NULL,
  name text NOT NULL,
  value double precision NOT NULL,
  CONSTRAINT run_results_pkey PRIMARY KEY (run, name),
  CONSTRAINT run_results_run_fkey FOREIGN KEY (run) REFERENCES runs(id)
);
CREATE INDEX runs_of_result ON run_results USING btree (name, value);

CREATE TABLE run_tags (
  run uuid NOT NULL,
  key text NOT NULL,
  value text NOT NULL,
  CONSTRAINT run_tags_pkey PRIMARY KEY (run, key),
  CONSTRAINT run_tags_run_fkey FOREIGN KEY (run) REFERENCES runs(id)
);
CREATE INDEX runs_of_tag ON run_tags USING btree (key, value);

CREATE TABLE runs (
  id uuid NOT NULL,
  project text NOT NULL,
  model text,
  definition integer,
  spec json,
  status text DEFAULT 'queued'::text NOT NULL,
  stage text DEFAULT 'queued'::text NOT NULL,
  progress double precision DEFAULT 0 NOT NULL,
  attempts integer DEFAULT 0 NOT NULL,
  lease uuid,
  leased_until timestamp(3) with time zone,
  error text,
  training_set text,
  evaluation json,
  version integer,
  actor text NOT NULL,
  reason text NOT NULL,
  created_at timestamp(3) with time zone DEFAULT now() NOT NULL,
  finished_at timestamp(3) with time zone,
  kind text DEFAULT 'trained'::text NOT NULL,
  algorithm text NOT NULL,
  seed bigint,
  retry_of uuid,
  git_revision text,
  environment json DEFAULT '{}'::json NOT NULL,
  trials json DEFAULT '[]'::json NOT NULL,
  events integer DEFAULT 0 NOT NULL,
  test_look json,
  progress_forgotten boolean DEFAULT false NOT NULL,
  logged_run uuid,
  CONSTRAINT runs_pkey PRIMARY KEY (id),
  CONSTRAINT runs_logged_run_fkey FOREIGN KEY (logged_run) REFERENCES runs(id),
  CONSTRAINT runs_retry_of_fkey FOREIGN KEY (retry_of) REFERENCES runs(id),
  CONSTRAINT runs_error CHECK ((status = ANY (ARRAY['failed'::text, 'cancelled'::text])) = (error IS NOT NULL)),
  CONSTRAINT runs_finished CHECK ((status = ANY (ARRAY['done'::text, 'failed'::text, 'cancelled'::text])) = (finished_at IS NOT NULL)),
  CONSTRAINT runs_kind_check CHECK (kind = ANY (ARRAY['trained'::text, 'logged'::text, 'imported'::text])),
  CONSTRAINT runs_leased CHECK ((status = 'running'::text AND kind = 'trained'::text) = (lease IS NOT NULL)),
  CONSTRAINT runs_leased_until CHECK ((lease IS NOT NULL) = (leased_until IS NOT NULL)),
  CONSTRAINT runs_progress_check CHECK (progress >= 0::double precision AND progress <= 1::double precision),
  CONSTRAINT runs_status_check CHECK (status = ANY (ARRAY['queued'::text, 'running'::text, 'done'::text, 'failed'::text, 'cancelled'::text])),
  CONSTRAINT runs_trained_have_spec CHECK (kind <> 'trained'::text OR spec IS NOT NULL),
  CONSTRAINT runs_version CHECK (version IS NULL OR status = 'done'::text)
);
CREATE INDEX runs_by_status ON runs USING btree (status, created_at DESC, id DESC);
CREATE INDEX runs_by_time ON runs USING btree (created_at DESC, id DESC);
CREATE INDEX runs_by_training_set ON runs USING btree (training_set) WHERE training_set IS NOT NULL;
CREATE INDEX runs_imported_from ON runs USING btree (logged_run) WHERE logged_run IS NOT NULL;
CREATE INDEX runs_of_model ON runs USING btree (model, created_at DESC, id DESC);
CREATE INDEX runs_that_looked ON runs USING btree (training_set) WHERE test_look IS NOT NULL;
CREATE INDEX runs_to_forget ON runs USING btree (finished_at) WHERE finished_at IS NOT NULL AND version IS NULL;
CREATE INDEX runs_to_work_on ON runs USING btree (created_at) WHERE (status = ANY (ARRAY['queued'::text, 'running'::text])) AND kind = 'trained'::text;
CREATE INDEX runs_tried_again ON runs USING btree (retry_of) WHERE retry_of IS NOT NULL;
CREATE INDEX runs_with_progress ON runs USING btree (finished_at) WHERE finished_at IS NOT NULL AND NOT progress_forgotten;

CREATE TABLE version_tags (
  model text NOT NULL,
  version integer NOT NULL,
  key text NOT NULL,
  value text NOT NULL,
  CONSTRAINT version_tags_pkey PRIMARY KEY (model, version, key),
  CONSTRAINT version_tags_model_version_fkey FOREIGN KEY (model, version) REFERENCES versions(model, version)
);
CREATE INDEX versions_of_tag ON version_tags USING btree (model, key, version DESC) INCLUDE (value);
CREATE INDEX versions_of_tag_value ON version_tags USING btree (model, key, value, version DESC);

CREATE TABLE versions (
  model text NOT NULL,
  version integer NOT NULL,
  project text NOT NULL,
  run uuid NOT NULL,
  definition integer,
  sha256 text NOT NULL,
  bytes integer NOT NULL,
  signature json NOT NULL,
  training_set text,
  lineage json,
  evaluation json,
  reference_bins json NOT NULL,
  actor text NOT NULL,
  created_at timestamp(3) with time zone DEFAULT now() NOT NULL,
  origin text DEFAULT 'trained'::text NOT NULL,
  algorithm text NOT NULL,
  horizon text,
  train_until timestamp(3) with time zone,
  curves json,
  hints json DEFAULT '[]'::json NOT NULL,
  input_example json,
  notes text DEFAULT ''::text NOT NULL,
  retired_at timestamp(3) with time zone,
  retired_by text,
  retired_reason text,
  graph json,
  CONSTRAINT versions_pkey PRIMARY KEY (model, version),
  CONSTRAINT versions_run_key UNIQUE (run),
  CONSTRAINT versions_model_fkey FOREIGN KEY (model) REFERENCES models(name),
  CONSTRAINT versions_run_fkey FOREIGN KEY (run) REFERENCES runs(id),
  CONSTRAINT versions_sha256_fkey FOREIGN KEY (sha256) REFERENCES model_files(sha256),
  CONSTRAINT versions_origin_check CHECK (origin = ANY (ARRAY['trained'::text, 'imported'::text])),
  CONSTRAINT versions_retired CHECK ((retired_at IS NULL) = (retired_by IS NULL) AND (retired_at IS NULL) = (retired_reason IS NULL)),
  CONSTRAINT versions_version_check CHECK (version > 0)
);
CREATE INDEX versions_of_file ON versions USING btree (sha256);

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

CREATE TRIGGER append_only BEFORE DELETE OR UPDATE ON alias_moves FOR EACH ROW EXECUTE FUNCTION refuse_to_rewrite_history();

CREATE TRIGGER append_only_whole BEFORE TRUNCATE ON alias_moves FOR EACH STATEMENT EXECUTE FUNCTION refuse_to_rewrite_history();

CREATE TRIGGER append_only BEFORE DELETE OR UPDATE ON comparisons FOR EACH ROW EXECUTE FUNCTION refuse_to_rewrite_history();

CREATE TRIGGER append_only_whole BEFORE TRUNCATE ON comparisons FOR EACH STATEMENT EXECUTE FUNCTION refuse_to_rewrite_history();
