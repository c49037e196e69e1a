-- Up Migration

create table pipeline_runs (
  id uuid primary key,
  pipeline text not null,
  project text not null,
  model text not null,
  trigger_kind text not null check (trigger_kind in ('alert', 'schedule', 'manual')),
  trigger_reference text not null,
  status text not null check (status in ('running', 'promoted', 'kept', 'failed', 'skipped')),
  error text,
  steps jsonb not null,
  started_at timestamptz(3) not null,
  finished_at timestamptz(3),
  -- The same alert, tick or call starts a pipeline once.
  unique (pipeline, trigger_kind, trigger_reference)
);
create index pipeline_runs_by_time on pipeline_runs (started_at desc, id desc);
create index pipeline_runs_running on pipeline_runs (started_at) where status = 'running';

-- Down Migration
drop table pipeline_runs;
