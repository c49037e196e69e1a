-- What the migrations make, written by deno task schemas: do not edit.

CREATE TABLE alerts (
  id uuid NOT NULL,
  project text NOT NULL,
  rule text NOT NULL,
  severity text NOT NULL,
  state text NOT NULL,
  revision integer NOT NULL,
  since timestamp(3) with time zone NOT NULL,
  resolved_at timestamp(3) with time zone,
  summary text NOT NULL,
  signal jsonb NOT NULL,
  CONSTRAINT alerts_pkey PRIMARY KEY (id),
  CONSTRAINT alerts_state_check CHECK (state = ANY (ARRAY['firing'::text, 'resolved'::text]))
);
CREATE INDEX alerts_by_time ON alerts USING btree (since DESC, id DESC);

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

CREATE TABLE rule_states (
  rule text NOT NULL,
  breaches integer DEFAULT 0 NOT NULL,
  well integer DEFAULT 0 NOT NULL,
  firing uuid,
  CONSTRAINT rule_states_pkey PRIMARY KEY (rule)
);

CREATE TABLE signals_seen (
  source text NOT NULL,
  id text NOT NULL,
  seen_at timestamp(3) with time zone DEFAULT now() NOT NULL,
  CONSTRAINT signals_seen_pkey PRIMARY KEY (source, id)
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
