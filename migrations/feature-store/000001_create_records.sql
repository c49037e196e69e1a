-- The records of entities, which features are computed from, and the ledger of the clean events they came from.

-- Up Migration

-- One row for each clean event and entity that it says something about.
create table records (
  source text not null,
  id text collate "C" not null,
  -- Version of the cleaning that made this data. Several versions of one event count once, as the newest known.
  definition integer not null,
  entity text not null,
  entity_key text collate "C" not null,
  event_time timestamptz(3) not null,
  known_at timestamptz(3) not null,
  data jsonb not null,
  primary key (source, id, definition, entity)
);
-- The order in which features read: an entity's records from one source, by event time.
create index records_by_entity on records (entity, source, entity_key, event_time, id);

-- received = records + unused + duplicates + refused
create table source_counts (
  source text primary key,
  received bigint not null,
  records bigint not null,
  unused bigint not null,
  duplicates bigint not null,
  refused bigint not null,
  check (received = records + unused + duplicates + refused)
);

-- Messages that are counted already: a redelivered one must not count again. The time tells the messages of
-- one stream from those of another that took its place and numbers from 1 again.
create table counted_messages (
  sequence bigint not null,
  received_at timestamptz(3) not null,
  counted_at timestamptz(3) not null default now(),
  primary key (sequence, received_at)
);
create index counted_messages_by_age on counted_messages (counted_at);

-- Down Migration
drop table counted_messages, source_counts, records;
