-- What came of every record received.

-- Up Migration

-- Each count changes in the transaction that writes what it counts, so that it is exact after any crash.
create table ledger (
  source text not null,
  -- Day of arrival, UTC.
  day date not null,
  stored bigint not null default 0,
  rejected bigint not null default 0,
  duplicates bigint not null default 0,
  primary key (source, day)
);

create table rejected (
  -- Newest first, and the mark to continue a page after.
  number bigint generated always as identity primary key,
  source text not null,
  -- As in events. Records that came by a request have its id instead.
  sequence bigint,
  position integer not null,
  request uuid,
  arrived_at timestamptz(3) not null,
  -- The record where it was JSON, else its text.
  data json,
  text text,
  reasons json not null,
  check ((sequence is null) <> (request is null)),
  check ((data is null) or (text is null)),
  -- A stream that is made anew begins again at 1: the arrival tells its messages from the older ones.
  unique (sequence, arrived_at, position)
);
create index rejected_by_source on rejected (source, number);

-- Records whose id was stored before, from another message or request.
create table duplicates (
  source text not null,
  id text not null,
  sequence bigint,
  position integer not null,
  request uuid,
  arrived_at timestamptz(3) not null,
  check ((sequence is null) <> (request is null)),
  unique (sequence, arrived_at, position)
);

-- The newest event time seen in each project that lives by its events.
create table clocks (
  project text primary key,
  now timestamptz(3) not null
);

-- Down Migration
drop table clocks, duplicates, rejected, ledger;
