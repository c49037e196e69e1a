-- The events as they were accepted, and what keeps each of them from being accepted twice.

-- Up Migration

-- Partitioned by the day of arrival and not by that of the event: history that is loaded today, in whatever
-- order, goes into one partition, and the partitions of the coming days can be made before they are needed.
create table events (
  source text not null,
  id text not null,
  event_time timestamptz(3) not null,
  known_at timestamptz(3) not null,
  -- When the stream took the message, or the service the request.
  arrived_at timestamptz(3) not null,
  -- The version of the source's definition that let it in.
  definition integer not null,
  -- Where it came from: its message's sequence in EVENTS (null: it came by a request), and its place in there.
  sequence bigint,
  position integer not null,
  -- json and not jsonb: the fields keep their order, and writing it costs less.
  data json not null
) partition by range (arrived_at);

-- Finds what an earlier attempt at a message has stored, and what of a stream's tail is stored already.
create index events_by_sequence on events (sequence) where sequence is not null;

-- The guard against duplicates: one row an event for all partitions, which a unique index on a partitioned
-- table cannot do. It says where the event came from, which tells a second attempt from a duplicate.
create table event_keys (
  source text not null,
  id text not null,
  sequence bigint,
  position integer not null,
  arrived_at timestamptz(3) not null,
  primary key (source, id)
);

-- Down Migration
drop table event_keys, events;
