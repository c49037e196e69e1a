-- Replays: stored records published once more, each run by one copy of the service at a time.

-- Up Migration

create table replays (
  -- A name is taken once: it is part of the keys of what a run leads to downstream.
  run text primary key,
  source text not null,
  project text not null,
  -- Event times, the second excluded; null: no bound.
  from_time timestamptz(3),
  until_time timestamptz(3),
  -- CEL over the record.
  filter text,
  target text not null,
  rate double precision,
  pace double precision,
  state text not null default 'running' check (state in ('running', 'done', 'cancelled', 'failed')),
  read bigint not null default 0,
  published bigint not null default 0,
  -- The last record that is done with: whoever takes the run over goes on behind it.
  position_time timestamptz(3),
  position_id text,
  -- Why it failed, or what it waits for.
  reason text,
  actor text not null,
  -- Records that arrived later come by the live flow.
  started_at timestamptz(3) not null default now(),
  finished_at timestamptz(3),
  -- The copy that works on it, and until when nobody else may take it over.
  owner uuid,
  leased_until timestamptz,
  check ((position_time is null) = (position_id is null)),
  check ((state = 'running') = (finished_at is null))
);
create index replays_by_start on replays (started_at, run);
create index replays_to_run on replays (started_at) where state = 'running';

-- Lets a replay of a span pass over what lies elsewhere, for a few bytes a block and next to nothing an insert. Several
-- spans a range of blocks, since history and live records of many sources lie beside each other.
create index events_by_time on events
  using brin (event_time timestamptz_minmax_multi_ops) with (pages_per_range = 32);

-- Down Migration
drop index events_by_time;
drop table replays;
