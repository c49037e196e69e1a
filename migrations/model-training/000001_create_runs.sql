-- Training runs as jobs: a copy of the service leases one, renews the lease while it works, and another copy takes
-- over when the lease runs out.

-- Up Migration
create table runs (
  id uuid primary key,
  project text not null,
  model text not null,
  -- The model's definition as it was when the run was asked for, with what the run replaces in it. json and not
  -- jsonb: the training set is asked for with it, and what is asked must read the same after a restart.
  definition integer not null,
  spec json not null,
  status text not null default 'queued' check (status in ('queued', 'running', 'done', 'failed')),
  stage text not null default 'queued',
  progress double precision not null default 0 check (progress between 0 and 1),
  attempts integer not null default 0,
  lease uuid,
  leased_until timestamptz(3),
  error text,
  -- SHA-256 of its file.
  training_set text,
  evaluation json,
  version integer,
  actor text not null,
  reason text not null,
  created_at timestamptz(3) not null default now(),
  finished_at timestamptz(3),
  check ((status = 'running') = (lease is not null)),
  check ((status = 'running') = (leased_until is not null)),
  check ((status = 'failed') = (error is not null)),
  check ((status = 'done') = (version is not null)),
  check ((status in ('done', 'failed')) = (finished_at is not null))
);
create index runs_to_work_on on runs (created_at) where status in ('queued', 'running');
create index runs_by_time on runs (created_at desc, id desc);
create index runs_of_model on runs (model, created_at desc, id desc);

-- Down Migration
drop table runs;
