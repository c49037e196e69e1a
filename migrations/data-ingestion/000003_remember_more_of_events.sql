-- What an event is published with once more after a crash, the states of entities, and which messages may have been
-- dealt with before.

-- Up Migration
alter table events
  -- Of the envelope, where it had one.
  add column actor text,
  add column traceparent text,
  -- The entity whose state this is, where the source is of entities.
  add column entity text;

alter table event_keys
  -- The request that brought the event, so that it is answered as the first time when it comes again.
  add column request uuid;

-- The states of entities, for the question what an entity was at a time, as far as it was known by another. They
-- outlive the events that brought them: the newest state of each entity is kept.
create table entity_states (
  source text not null,
  entity text not null,
  event_time timestamptz(3) not null,
  known_at timestamptz(3) not null,
  id text not null,
  arrived_at timestamptz(3) not null,
  data json not null,
  primary key (source, entity, event_time, known_at, id)
);

-- The durable consumer that messages come by. One that was made anew brings all of the stream once more and calls
-- nothing redelivered: of what stood in the stream by then, each message is looked up.
create table intake_durable (
  one boolean primary key default true check (one),
  created_at timestamptz not null,
  last_sequence bigint not null
);

-- Down Migration
drop table intake_durable, entity_states;
alter table event_keys drop column request;
alter table events drop column entity, drop column traceparent, drop column actor;
