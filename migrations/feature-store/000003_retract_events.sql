-- Events that a newer cleaning makes nothing of.

-- Up Migration

-- Versions up to this one are no records, also when they come late.
create table retracted_events (
  source text not null,
  id text collate "C" not null,
  definition integer not null,
  primary key (source, id)
);

-- Down Migration
drop table retracted_events;
