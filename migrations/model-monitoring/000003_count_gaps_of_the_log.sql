-- Up Migration

-- Outcomes of every kind: of calls that reached no version, of shadows, of calls that another arm answered.
alter table predictions
  alter column project drop not null,
  alter column version drop not null,
  alter column arm drop not null,
  add column assigned text,
  add column rerouted text,
  add column shadow_of text,
  add column code text,
  add column statuses jsonb not null default '{}',
  add column marks jsonb not null default '{}',
  add column features_from text,
  add column sample double precision not null default 1;

-- What each process says of its own log: how many records it had made of a model by its last message, and whether it
-- stopped in order after it.
alter table prediction_boots
  add column head bigint not null default 0,
  add column closed boolean not null default false,
  add column first_seen_at timestamptz(3) not null default now(),
  add column last_seen_at timestamptz(3) not null default now();

-- Down Migration
alter table prediction_boots
  drop column head, drop column closed, drop column first_seen_at, drop column last_seen_at;
delete from predictions where version is null or arm is null or project is null or shadow_of is not null;
alter table predictions
  alter column project set not null,
  alter column version set not null,
  alter column arm set not null,
  drop column assigned, drop column rerouted, drop column shadow_of, drop column code, drop column statuses, drop column marks,
  drop column features_from, drop column sample;
