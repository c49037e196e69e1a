-- What the migrations make, written by deno task schemas: do not edit.

CREATE TABLE applied_clocks (
  project text NOT NULL,
  clock timestamp(3) with time zone NOT NULL,
  CONSTRAINT applied_clocks_pkey PRIMARY KEY (project)
);

CREATE TABLE applied_messages (
  tx bigint DEFAULT ((pg_current_xact_id())::text)::bigint NOT NULL,
  last_position bigint NOT NULL,
  applied_at timestamp(3) with time zone DEFAULT now() NOT NULL,
  CONSTRAINT applied_messages_pkey PRIMARY KEY (tx)
);
CREATE INDEX applied_messages_by_age ON applied_messages USING btree (applied_at);

CREATE TABLE buckets (
  view_version integer NOT NULL,
  entity_key text NOT NULL,
  size_ms bigint NOT NULL,
  start_ms bigint NOT NULL,
  max_time_ms bigint NOT NULL,
  max_known_at_ms bigint NOT NULL,
  cells text NOT NULL,
  CONSTRAINT buckets_pkey PRIMARY KEY (view_version, entity_key, size_ms, start_ms)
);
CREATE INDEX stale_buckets ON buckets USING btree (view_version, entity_key) WHERE max_known_at_ms = '9007199254740991'::bigint;

CREATE TABLE consistency_checks (
  id uuid NOT NULL,
  at timestamp(3) with time zone DEFAULT now() NOT NULL,
  actor text NOT NULL,
  models json NOT NULL,
  CONSTRAINT consistency_checks_pkey PRIMARY KEY (id)
);

CREATE TABLE counted_messages (
  sequence bigint NOT NULL,
  received_at timestamp(3) with time zone NOT NULL,
  counted_at timestamp(3) with time zone DEFAULT now() NOT NULL,
  CONSTRAINT counted_messages_pkey PRIMARY KEY (sequence, received_at)
);
CREATE INDEX counted_messages_by_age ON counted_messages USING btree (counted_at);

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

CREATE TABLE described_sources (
  source text NOT NULL,
  entity text NOT NULL,
  filled_to text DEFAULT ''::text,
  CONSTRAINT described_sources_pkey PRIMARY KEY (source, entity)
);

CREATE TABLE feature_reads (
  kind text NOT NULL,
  name text NOT NULL,
  day date NOT NULL,
  reads bigint NOT NULL,
  entities bigint NOT NULL,
  CONSTRAINT feature_reads_pkey PRIMARY KEY (kind, name, day),
  CONSTRAINT feature_reads_kind_check CHECK (kind = ANY (ARRAY['service'::text, 'view'::text]))
);

CREATE TABLE feature_service_views (
  feature_service text NOT NULL,
  version integer NOT NULL,
  view text NOT NULL,
  view_version integer NOT NULL,
  CONSTRAINT feature_service_views_pkey PRIMARY KEY (feature_service, version, view)
);

CREATE TABLE feature_statistics (
  view text NOT NULL,
  feature text NOT NULL,
  version integer NOT NULL,
  at timestamp(3) with time zone NOT NULL,
  sampled_at timestamp(3) with time zone DEFAULT now() NOT NULL,
  statistics json NOT NULL,
  CONSTRAINT feature_statistics_pkey PRIMARY KEY (view, feature, at, version)
);
CREATE INDEX feature_statistics_by_age ON feature_statistics USING btree (sampled_at);

CREATE TABLE idempotency_keys (
  endpoint text NOT NULL,
  key text NOT NULL,
  request_hash text NOT NULL,
  reply json,
  created_at timestamp(3) with time zone DEFAULT now() NOT NULL,
  CONSTRAINT idempotency_keys_pkey PRIMARY KEY (endpoint, key)
);
CREATE INDEX idempotency_keys_created_at ON idempotency_keys USING btree (created_at);

CREATE TABLE label_progress (
  model text NOT NULL,
  version integer NOT NULL,
  matured_until timestamp(3) with time zone,
  pass_until timestamp(3) with time zone,
  pass_below_tx bigint,
  pass_after text DEFAULT ''::text NOT NULL,
  looked_below_tx bigint NOT NULL,
  published bigint DEFAULT 0 NOT NULL,
  corrections bigint DEFAULT 0 NOT NULL,
  forgotten_until timestamp(3) with time zone,
  CONSTRAINT label_progress_pkey PRIMARY KEY (model),
  CONSTRAINT label_progress_check CHECK (pass_until IS NULL OR pass_below_tx IS NULL)
);

CREATE TABLE outbox (
  id bigint GENERATED ALWAYS AS IDENTITY NOT NULL,
  subject text NOT NULL,
  headers jsonb DEFAULT '{}'::jsonb NOT NULL,
  payload bytea NOT NULL,
  message_id text NOT NULL,
  CONSTRAINT outbox_pkey PRIMARY KEY (id)
);

CREATE TABLE periodic_work (
  name text NOT NULL,
  done_at timestamp(3) with time zone NOT NULL,
  CONSTRAINT periodic_work_pkey PRIMARY KEY (name)
);

CREATE TABLE published_labels (
  model text NOT NULL,
  entity_key text NOT NULL,
  at timestamp(3) with time zone NOT NULL,
  value jsonb NOT NULL,
  revision integer NOT NULL,
  CONSTRAINT published_labels_pkey PRIMARY KEY (model, entity_key, at)
);
CREATE INDEX published_labels_by_age ON published_labels USING btree (model, at);

CREATE TABLE records (
  source text NOT NULL,
  id text NOT NULL,
  definition integer NOT NULL,
  entity text NOT NULL,
  entity_key text NOT NULL,
  event_time timestamp(3) with time zone NOT NULL,
  known_at timestamp(3) with time zone NOT NULL,
  data jsonb NOT NULL,
  applied_tx bigint DEFAULT ((pg_current_xact_id())::text)::bigint NOT NULL,
  retracted boolean DEFAULT false NOT NULL,
  withdrawn_tx bigint,
  CONSTRAINT records_pkey PRIMARY KEY (source, id, definition, entity, entity_key, event_time)
);
CREATE INDEX records_by_applied_tx ON records USING brin (applied_tx) WITH (pages_per_range='16');
CREATE INDEX records_by_entity ON records USING btree (entity, source, entity_key, event_time, id);
CREATE INDEX records_withdrawn ON records USING btree (withdrawn_tx) WHERE withdrawn_tx IS NOT NULL;

CREATE TABLE source_counts (
  source text NOT NULL,
  received bigint NOT NULL,
  records bigint NOT NULL,
  unused bigint NOT NULL,
  duplicates bigint NOT NULL,
  refused bigint NOT NULL,
  CONSTRAINT source_counts_pkey PRIMARY KEY (source),
  CONSTRAINT source_counts_check CHECK (received = (records + unused + duplicates + refused))
);

CREATE TABLE training_sets (
  id uuid NOT NULL,
  request json NOT NULL,
  actor text NOT NULL,
  status text NOT NULL,
  progress double precision DEFAULT 0 NOT NULL,
  attempts integer DEFAULT 0 NOT NULL,
  lease uuid,
  leased_until timestamp(3) with time zone,
  error text,
  result json,
  created_at timestamp(3) with time zone DEFAULT now() NOT NULL,
  finished_at timestamp(3) with time zone,
  statistics json,
  CONSTRAINT training_sets_pkey PRIMARY KEY (id),
  CONSTRAINT training_sets_check CHECK ((status = 'running'::text) = (lease IS NOT NULL)),
  CONSTRAINT training_sets_check1 CHECK ((status = 'running'::text) = (leased_until IS NOT NULL)),
  CONSTRAINT training_sets_check2 CHECK ((status = 'done'::text) = (result IS NOT NULL)),
  CONSTRAINT training_sets_check3 CHECK ((status = 'failed'::text) = (error IS NOT NULL)),
  CONSTRAINT training_sets_progress_check CHECK (progress >= 0::double precision AND progress <= 1::double precision),
  CONSTRAINT training_sets_status_check CHECK (status = ANY (ARRAY['queued'::text, 'running'::text, 'done'::text, 'failed'::text, 'cancelled'::text]))
);
CREATE INDEX training_sets_by_project ON training_sets USING btree ((request ->> 'project'::text), id);
CREATE INDEX training_sets_to_build ON training_sets USING btree (created_at) WHERE status = ANY (ARRAY['queued'::text, 'running'::text]);

CREATE TABLE view_versions (
  id integer GENERATED ALWAYS AS IDENTITY NOT NULL,
  view text NOT NULL,
  version integer NOT NULL,
  source text NOT NULL,
  entity text NOT NULL,
  status text DEFAULT 'building'::text NOT NULL,
  filled_to text DEFAULT ''::text NOT NULL,
  keys_filled bigint DEFAULT 0 NOT NULL,
  keys_total bigint DEFAULT 0 NOT NULL,
  changed_at timestamp(3) with time zone DEFAULT now() NOT NULL,
  intact_from_ms bigint,
  intact_from_changed_at timestamp(3) with time zone,
  CONSTRAINT view_versions_pkey PRIMARY KEY (id),
  CONSTRAINT view_versions_view_version_key UNIQUE (view, version),
  CONSTRAINT view_versions_status_check CHECK (status = ANY (ARRAY['building'::text, 'ready'::text, 'retired'::text]))
);
CREATE INDEX view_versions_by_source ON view_versions USING btree (source, entity) WHERE status <> 'retired'::text;

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
