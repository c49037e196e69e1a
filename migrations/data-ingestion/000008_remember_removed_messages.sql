-- Messages whose events were removed before the stream forgot them.

-- Up Migration

-- A durable that is made anew brings them once more: by then their source may be another one, that refuses what it
-- stored, and no row tells that they were counted.
create table removed_messages (
  source text not null,
  sequence bigint not null,
  arrived_at timestamptz(3) not null,
  primary key (sequence, arrived_at)
);

-- Down Migration
drop table removed_messages;
