-- Runs of three kinds, with what is known of each kept in rows: parameters, results, tags, metrics by round, logs,
-- artifacts, and the events that tell how far it is.

-- Up Migration
alter table runs
  add column kind text not null default 'trained' check (kind in ('trained', 'logged', 'imported')),
  add column algorithm text,
  add column seed bigint,
  add column retry_of uuid references runs,
  add column git_revision text,
  add column environment json not null default '{}',
  add column trials json not null default '[]',
  -- The number of its newest event.
  add column events integer not null default 0;
update runs set algorithm = spec ->> 'algorithm', seed = (spec ->> 'seed')::bigint;
alter table runs
  alter column algorithm set not null,
  alter column model drop not null,
  alter column definition drop not null,
  alter column spec drop not null,
  add constraint runs_trained_have_spec check (kind <> 'trained' or spec is not null),
  drop constraint runs_status_check,
  add constraint runs_status_check check (status in ('queued', 'running', 'done', 'failed', 'cancelled')),
  -- Who runs what was logged keeps no lease with us.
  drop constraint runs_check,
  add constraint runs_leased check ((status = 'running' and kind = 'trained') = (lease is not null)),
  drop constraint runs_check1,
  add constraint runs_leased_until check ((lease is not null) = (leased_until is not null)),
  drop constraint runs_check2,
  add constraint runs_error check ((status in ('failed', 'cancelled')) = (error is not null)),
  drop constraint runs_check3,
  add constraint runs_version check (version is null or status = 'done'),
  drop constraint runs_check4,
  add constraint runs_finished check ((status in ('done', 'failed', 'cancelled')) = (finished_at is not null));
drop index runs_to_work_on;
create index runs_to_work_on on runs (created_at) where status in ('queued', 'running') and kind = 'trained';
create index runs_by_status on runs (status, created_at desc, id desc);

create table run_parameters (
  run uuid not null references runs,
  name text not null,
  value jsonb not null,
  primary key (run, name)
);
create index runs_of_parameter on run_parameters (name, value);
insert into run_parameters (run, name, value)
select id, key, value from runs, jsonb_each((spec -> 'parameters')::jsonb);

-- Final values, by which runs are searched.
create table run_results (
  run uuid not null references runs,
  name text not null,
  value double precision not null,
  primary key (run, name)
);
create index runs_of_result on run_results (name, value);
insert into run_results (run, name, value)
select id, key, value::text::double precision from runs, jsonb_each((evaluation -> 'model')::jsonb)
where evaluation is not null;

create table run_tags (
  run uuid not null references runs,
  key text not null,
  value text not null,
  primary key (run, key)
);
create index runs_of_tag on run_tags (key, value);

-- Values by round.
create table run_metrics (
  run uuid not null references runs,
  name text not null,
  step bigint not null,
  value double precision not null,
  primary key (run, name, step)
);

create table run_logs (
  run uuid not null references runs,
  sequence bigint generated always as identity,
  at timestamptz(3) not null default clock_timestamp(),
  line text not null,
  primary key (run, sequence)
);

-- Files in the file store. Those that are models are also in model_files.
create table run_artifacts (
  run uuid not null references runs,
  name text not null,
  sha256 text not null,
  bytes bigint not null,
  media_type text not null,
  at timestamptz(3) not null default clock_timestamp(),
  primary key (run, name)
);

create table run_events (
  run uuid not null references runs,
  sequence integer not null,
  event json not null,
  primary key (run, sequence)
);

-- Down Migration
drop table run_events, run_artifacts, run_logs, run_metrics, run_tags, run_results, run_parameters;
delete from versions where run in (select id from runs where kind <> 'trained');
delete from runs where kind <> 'trained' or model is null;
update runs set status = 'failed' where status = 'cancelled';
drop index runs_to_work_on, runs_by_status;
alter table runs
  drop constraint runs_trained_have_spec, drop constraint runs_leased, drop constraint runs_leased_until,
  drop constraint runs_error, drop constraint runs_version, drop constraint runs_finished,
  drop constraint runs_status_check,
  drop column kind, drop column algorithm, drop column seed, drop column retry_of, drop column git_revision,
  drop column environment, drop column trials, drop column events,
  alter column model set not null,
  alter column definition set not null,
  alter column spec set not null,
  add constraint runs_status_check check (status in ('queued', 'running', 'done', 'failed')),
  add constraint runs_check check ((status = 'running') = (lease is not null)),
  add constraint runs_check1 check ((status = 'running') = (leased_until is not null)),
  add constraint runs_check2 check ((status = 'failed') = (error is not null)),
  add constraint runs_check3 check ((status = 'done') = (version is not null)),
  add constraint runs_check4 check ((status in ('done', 'failed')) = (finished_at is not null));
create index runs_to_work_on on runs (created_at) where status in ('queued', 'running');
