-- Statistics of the clean records of each source by tumbling windows of event time, and what was found about them.

-- Up Migration

-- What a batch says about a window, until a background task merges it into the window. Only appended to by the
-- intake, so that copies of the service never wait for each other here.
create table profile_parts (
  number bigint generated always as identity primary key,
  source text not null,
  -- Null: the source has been removed.
  project text,
  window_ms bigint not null,
  starts_at timestamptz(3) not null,
  records integer not null,
  newest_at timestamptz(3) not null,
  -- shared/statistics; null where only the number of records matters.
  statistics bytea
);
create index profile_parts_by_window on profile_parts (source, window_ms, starts_at);

-- The clocks that batches brought, until they are merged into the clocks of their projects.
create table clock_marks (
  number bigint generated always as identity primary key,
  project text not null,
  clock timestamptz(3) not null
);

create table project_clocks (
  project text primary key,
  clock timestamptz(3) not null
);

create table profile_windows (
  source text not null,
  window_ms bigint not null,
  starts_at timestamptz(3) not null,
  -- 0: an empty window about which something was found.
  records bigint not null default 0,
  statistics bytea,
  -- What was found when it was over.
  anomalies json not null default '[]',
  changed_at timestamptz(3) not null default now(),
  primary key (source, window_ms, starts_at)
);
create index profile_windows_by_age on profile_windows (changed_at);

-- The windows of one length of a source: those that began before this are over, and judged.
create table profile_series (
  source text not null,
  window_ms bigint not null,
  judged_until timestamptz(3) not null,
  primary key (source, window_ms)
);

create table profiled_sources (
  source text primary key,
  project text,
  -- Event time of its newest clean record.
  newest_at timestamptz(3) not null
);

-- What does not hold at the moment: a row appears with the breach and goes with it.
create table source_concerns (
  source text not null,
  -- Of the signal that tells of it.
  kind text not null,
  concern text not null,
  message text not null,
  since timestamptz(3) not null,
  primary key (source, kind, concern)
);

-- Down Migration
drop table
  source_concerns, profiled_sources, profile_series, profile_windows, project_clocks, clock_marks, profile_parts;
