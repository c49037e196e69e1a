-- The cleaning of a replay is the one with which it began. And the counts of what came are counts of their own, made
-- when it came, so that what became of it can be held against them.

-- Up Migration

create table replay_cleanings (
  run text not null,
  source text not null,
  -- The version; 0: none, the records pass through.
  cleaning integer not null,
  pinned_at timestamptz(3) not null default now(),
  primary key (run, source)
);
create index replay_cleanings_by_age on replay_cleanings (pinned_at);

alter table counts add column received bigint not null default 0;
update counts set received = clean + filtered + quarantined + duplicates + held - exploded;

-- Down Migration
alter table counts drop column received;
drop table replay_cleanings;
