-- Whether what was served holds, what features hold over time, and how often they are read.

-- Up Migration

-- Which messages of CLEAN each transaction applied: leads from a record to its position.
create table applied_messages (
  tx bigint primary key default pg_current_xact_id()::text::bigint,
  last_position bigint not null,
  applied_at timestamptz(3) not null default now()
);
create index applied_messages_by_age on applied_messages (applied_at);

create table consistency_checks (
  id uuid primary key,
  at timestamptz(3) not null default now(),
  actor text not null,
  models json not null
);

create table feature_statistics (
  view text not null,
  feature text not null,
  version integer not null,
  at timestamptz(3) not null,
  sampled_at timestamptz(3) not null default now(),
  statistics json not null,
  primary key (view, feature, at, version)
);
create index feature_statistics_by_age on feature_statistics (sampled_at);

create table feature_reads (
  kind text not null check (kind in ('service', 'view')),
  name text not null,
  day date not null,
  reads bigint not null,
  entities bigint not null,
  primary key (kind, name, day)
);

-- When something that is done now and then was done last, by any copy.
create table periodic_work (
  name text primary key,
  done_at timestamptz(3) not null
);

-- Down Migration
drop table periodic_work, feature_reads, feature_statistics, consistency_checks, applied_messages;
