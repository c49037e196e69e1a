-- Sources that are held after a failed expectation with the action `block`, and what is held of them.

-- Up Migration

create table blocks (
  source text primary key,
  project text,
  -- Event time of what failed first.
  since timestamptz(3) not null,
  at timestamptz(3) not null default clock_timestamp(),
  reasons text[] not null,
  -- Records held, and the bytes of their JSON.
  held bigint not null default 0,
  held_bytes bigint not null default 0,
  -- Somebody has released it: what is held goes on, in order, and then the block is over.
  released_at timestamptz(3),
  released_by text,
  release_reason text
);

-- The events of a message that came while its source was blocked. The guard knows them already.
create table held_batches (
  number bigint generated always as identity primary key,
  source text not null,
  sequence bigint not null,
  received_at timestamptz(3) not null,
  project text,
  clock timestamptz(3),
  -- A JSON array of events.
  events json not null,
  records integer not null
);
create index held_batches_in_order on held_batches (source, received_at, sequence);

-- One holder at a time, such as the copy that takes replays.
create table leases (
  name text primary key,
  holder text not null,
  until timestamptz(3) not null
);

-- Down Migration
drop table leases, held_batches, blocks;
