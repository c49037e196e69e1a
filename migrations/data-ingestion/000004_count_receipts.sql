-- Receipts and dead letters in the ledger, and how far retention is.

-- Up Migration
alter table ledger
  -- Records received, counted when their message was read and before anything was made of them.
  add column received bigint not null default 0,
  -- Messages that were moved to DEADLETTER whole.
  add column dead_lettered bigint not null default 0,
  -- Of the stored ones, those that retention has removed.
  add column removed bigint not null default 0;
update ledger set received = stored + rejected + duplicates;

-- Messages of EVENTS that were moved to DEADLETTER: each is counted once, however often it is tried.
create table dead_letters (
  sequence bigint not null,
  arrived_at timestamptz(3) not null,
  source text not null,
  primary key (sequence, arrived_at)
);

-- How far the pass of a day over a table is. Whoever holds the lock of the row works on it.
create table retention_passes (
  name text primary key,
  -- When the pass began, UTC.
  day date not null,
  -- The first block that is not done.
  block bigint not null default 0,
  done boolean not null default false
);

-- Down Migration
drop table retention_passes, dead_letters;
alter table ledger drop column removed, drop column dead_lettered, drop column received;
