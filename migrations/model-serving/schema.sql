-- What the migrations make, written by deno task schemas: do not edit.

CREATE TABLE admissions (
  id bigint GENERATED ALWAYS AS IDENTITY NOT NULL,
  model text NOT NULL,
  version integer NOT NULL,
  sha256 text NOT NULL,
  instance text NOT NULL,
  admitted boolean NOT NULL,
  reason text,
  at timestamp(3) with time zone DEFAULT now() NOT NULL,
  CONSTRAINT admissions_pkey PRIMARY KEY (id)
);
CREATE INDEX admissions_by_model ON admissions USING btree (model, at DESC);

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
