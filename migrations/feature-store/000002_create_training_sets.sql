-- Training sets as jobs: a copy of the service leases one, renews the lease while it works, and another copy
-- takes over when the lease runs out.

-- Up Migration
create table training_sets (
  id uuid primary key,
  -- As asked, with the clock and the version of the feature service that it is about.
  request json not null,
  actor text not null,
  status text not null check (status in ('queued', 'running', 'done', 'failed', 'cancelled')),
  progress double precision not null default 0 check (progress between 0 and 1),
  attempts integer not null default 0,
  lease uuid,
  leased_until timestamptz(3),
  error text,
  result json,
  created_at timestamptz(3) not null default now(),
  finished_at timestamptz(3),
  check ((status = 'running') = (lease is not null)),
  check ((status = 'running') = (leased_until is not null)),
  check ((status = 'done') = (result is not null)),
  check ((status = 'failed') = (error is not null))
);
create index training_sets_to_build on training_sets (created_at) where status in ('queued', 'running');

-- Down Migration
drop table training_sets;
