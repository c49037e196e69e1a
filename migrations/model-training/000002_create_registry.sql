-- The registry: models, their versions, and who pointed which alias where.

-- Up Migration

-- A row to lock: what changes one model takes turns.
create table models (
  name text primary key,
  -- The newest version; numbers are never used again.
  versions integer not null default 0
);

-- ONNX files under their SHA-256: the bus never holds the only copy of a model. Two versions may be of one file.
create table model_files (
  sha256 text primary key,
  onnx bytea not null
);

create table versions (
  model text not null references models,
  version integer not null check (version > 0),
  project text not null,
  run uuid not null unique references runs,
  -- The version of the model's definition.
  definition integer not null,
  sha256 text not null references model_files,
  bytes integer not null,
  signature json not null,
  -- SHA-256 of the training set's file, and what it was made of.
  training_set text not null,
  lineage json not null,
  evaluation json not null,
  reference_bins json not null,
  actor text not null,
  created_at timestamptz(3) not null default now(),
  primary key (model, version)
);

create table aliases (
  model text not null,
  alias text not null,
  version integer not null,
  revision integer not null check (revision > 0),
  primary key (model, alias),
  foreign key (model, version) references versions
);

create table alias_moves (
  model text not null,
  alias text not null,
  revision integer not null check (revision > 0),
  version integer not null,
  actor text not null,
  reason text not null check (reason <> ''),
  evidence text not null,
  -- Not the beginning of its transaction, which may have waited for another move.
  at timestamptz(3) not null default clock_timestamp(),
  primary key (model, alias, revision),
  foreign key (model, version) references versions
);
create index alias_moves_by_time on alias_moves (model, at desc, alias, revision desc);

create function refuse_to_rewrite_history() returns trigger language plpgsql as $$
begin
  raise exception 'Cannot % a row of %: history is only added to', lower(tg_op), tg_table_name;
end $$;
create trigger append_only before update or delete on alias_moves
  for each row execute function refuse_to_rewrite_history();

-- Candidates judged against a champion, with the numbers that the decision rests on.
create table comparisons (
  id uuid primary key,
  model text not null,
  candidate integer not null,
  against text not null,
  champion integer,
  training_set text not null,
  gate json not null,
  metric text not null,
  rows integer not null,
  -- T of the first and the last row judged.
  judged_from timestamptz(3),
  judged_until timestamptz(3),
  candidate_value double precision,
  champion_value double precision,
  baseline_value double precision,
  gain double precision,
  passed boolean not null,
  reasons json not null,
  actor text not null,
  at timestamptz(3) not null default now(),
  foreign key (model, candidate) references versions,
  foreign key (model, champion) references versions
);
create index comparisons_of_model on comparisons (model, at desc);

-- Down Migration
drop table comparisons, alias_moves, aliases, versions, model_files, models;
drop function refuse_to_rewrite_history;
