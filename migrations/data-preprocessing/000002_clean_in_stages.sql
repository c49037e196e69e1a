-- Steps that remember: the states of entities and the keys that were used. And records of arrays, replays with
-- counts of their own, a smaller guard.

-- Up Migration

alter table handled_messages
  add column stream text not null default 'INGESTED',
  -- Nothing of it is to be published when it comes again: what it led to was held, or stood in the outbox.
  add column settled boolean not null default false,
  drop constraint handled_messages_pkey,
  add primary key (stream, sequence, received_at);

-- The guard against duplicates: every event, and by which message it came first. Most of what the intake writes is
-- this, so what many events share is one number, and ids are compared as bytes: those that follow each other come to
-- stand next to each other.
create table cleaned_events (
  -- Of source, definition and run: the first 64 bits of their MD5 (repository/intake.ts).
  scope bigint not null,
  id text collate "C" not null,
  sequence bigint not null,
  seen_on date not null default (now() at time zone 'UTC')::date,
  primary key (scope, id)
);
insert into cleaned_events (scope, id, sequence)
select ('x' || left(md5(source || E'\n' || definition || E'\n' || run), 16))::bit(64)::bigint, id, sequence
from seen_events;
drop table seen_events;

-- The clean states of entities, each named by its event's id: what was known of an entity at a time.
create table entity_states (
  source text not null,
  entity text collate "C" not null,
  event_time timestamptz(3) not null,
  id text collate "C" not null,
  known_at timestamptz(3) not null,
  -- The version that made it; a newer one replaces it.
  cleaning integer not null,
  data json not null,
  kept_at timestamptz(3) not null default now(),
  primary key (source, entity, event_time, id)
);

-- The keys that records used of late, for deduplicate and unique.
create table used_keys (
  -- MD5 of run, source, step and values.
  key uuid not null,
  event_time timestamptz(3) not null,
  id text collate "C" not null,
  keep_until timestamptz(3) not null,
  primary key (key, event_time, id)
);
create index used_keys_by_end on used_keys (keep_until);

alter table counts
  -- The replay that it counts; empty: the live flow.
  add column run text not null default '',
  add column exploded bigint not null default 0,
  add column held bigint not null default 0,
  drop constraint counts_pkey,
  add primary key (run, source, day);
alter table filtered_counts
  add column run text not null default '',
  drop constraint filtered_counts_pkey,
  add primary key (run, source, day, reason);

alter table quarantined
  -- The day that counts it.
  add column day date,
  add column project text,
  -- What else its envelope held: subject, actor, traceparent.
  add column envelope json not null default '{}',
  -- Of a record whose array was exploded: what of it went no further ('#0', '#2'); null: all of it.
  add column items text[];
update quarantined q
set day = coalesce(
  (select max(c.day) from counts c where c.source = q.source and c.quarantined > 0),
  (now() at time zone 'UTC')::date
);
alter table quarantined alter column day set not null;

-- Down Migration
alter table quarantined drop column day, drop column project, drop column envelope, drop column items;
delete from filtered_counts where run <> '';
alter table filtered_counts
  drop constraint filtered_counts_pkey,
  drop column run,
  add primary key (source, day, reason);
delete from counts where run <> '';
alter table counts
  drop constraint counts_pkey,
  drop column run, drop column exploded, drop column held,
  add primary key (source, day);
drop table used_keys, entity_states, cleaned_events;
-- Empty: what a scope was made of is not known.
create table seen_events (
  source text not null,
  id text not null,
  definition integer not null,
  run text not null default '',
  sequence bigint not null,
  primary key (source, id, definition, run)
);
delete from handled_messages where stream <> 'INGESTED';
alter table handled_messages
  drop constraint handled_messages_pkey,
  drop column stream, drop column settled,
  add primary key (sequence, received_at);
