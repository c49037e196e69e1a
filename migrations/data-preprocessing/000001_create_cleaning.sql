-- What keeps an event from being cleaned twice, what was set aside, and the counts.

-- Up Migration

-- Messages of INGESTED that are dealt with, and the cleaning that dealt with them: a message that comes again
-- leads to the same clean events, whatever the cleaning is by then, and is not counted again.
create table handled_messages (
  sequence bigint not null,
  -- When the stream took it: a stream that is made anew counts from 1 again.
  received_at timestamptz(3) not null,
  -- The cleaning's version; null: there was none, the records passed through.
  cleaning integer,
  handled_at timestamptz(3) not null default now(),
  primary key (sequence, received_at)
);
create index handled_messages_by_age on handled_messages (handled_at);

-- The guard against duplicates, and by which message each event came first.
create table seen_events (
  source text not null,
  id text not null,
  definition integer not null,
  -- The replay it belongs to; empty for the live flow.
  run text not null default '',
  sequence bigint not null,
  primary key (source, id, definition, run)
);

-- Records that went no further, as they were ingested, with every reason.
create table quarantined (
  -- Newest first, and the mark to continue a page after.
  number bigint generated always as identity primary key,
  source text not null,
  id text not null,
  definition integer not null,
  run text not null default '',
  cleaning integer not null,
  event_time timestamptz(3) not null,
  known_at timestamptz(3) not null,
  data json not null,
  reasons json not null,
  unique (source, id, definition, run)
);
create index quarantined_by_source on quarantined (source, number);

-- Each count changes in the transaction that writes what it counts.
create table counts (
  source text not null,
  -- The day on which the stream took the record, UTC.
  day date not null,
  clean bigint not null default 0,
  filtered bigint not null default 0,
  quarantined bigint not null default 0,
  duplicates bigint not null default 0,
  warned bigint not null default 0,
  primary key (source, day)
);

create table filtered_counts (
  source text not null,
  day date not null,
  reason text not null,
  records bigint not null,
  primary key (source, day, reason)
);

-- Down Migration
drop table filtered_counts, counts, quarantined, seen_events, handled_messages;
