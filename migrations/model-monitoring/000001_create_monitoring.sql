-- Up Migration

-- How features and output were distributed when a version was trained.
create table model_references (
  model text not null,
  version integer not null,
  project text not null,
  bins jsonb not null,
  primary key (model, version)
);

-- Every outcome served. Partitions by day of serving are made as they are needed and dropped by retention; a record
-- keeps its served_at when it is delivered again, so the key holds across midnights.
create table predictions (
  id text not null,
  served_at timestamptz(3) not null,
  at timestamptz(3) not null,
  project text not null,
  model text not null,
  version integer not null,
  arm text not null,
  outcome text not null check (outcome in ('ok', 'error')),
  error text,
  output double precision,
  entity jsonb,
  features jsonb not null,
  position bigint,
  latency_ms double precision not null,
  traceparent text,
  primary key (served_at, id)
) partition by range (served_at);
create index predictions_by_model on predictions (model, version, at);

-- What came from each process that serves: missing = last_sequence + 1 - received.
create table prediction_boots (
  instance text not null,
  boot text not null,
  model text not null,
  received bigint not null,
  last_sequence bigint not null,
  primary key (instance, boot, model)
);

-- Predictions counted into the reference bins; the last count of an array is that of missing values.
create table window_counts (
  monitor text not null,
  model text not null,
  version integer not null,
  starts_at timestamptz(3) not null,
  name text not null,
  counts bigint[] not null,
  primary key (monitor, version, starts_at, name)
);

create table drift_windows (
  monitor text not null,
  model text not null,
  version integer not null,
  starts_at timestamptz(3) not null,
  ends_at timestamptz(3) not null,
  rows bigint not null default 0,
  status text not null default 'too_few_rows' check (status in ('ok', 'breach', 'too_few_rows')),
  revision integer not null default 0,
  features jsonb not null default '[]',
  primary key (monitor, version, starts_at)
);
create index drift_windows_by_time on drift_windows (starts_at desc, monitor);

-- Down Migration
drop table drift_windows, window_counts, prediction_boots, predictions, model_references;
