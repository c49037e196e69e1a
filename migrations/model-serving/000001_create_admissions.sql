-- Up Migration

-- Every version that a copy tried to load, and why not if it could not.
create table admissions (
  id bigint generated always as identity primary key,
  model text not null,
  version integer not null,
  sha256 text not null,
  instance text not null,
  admitted boolean not null,
  reason text,
  at timestamptz(3) not null default now()
);
create index admissions_by_model on admissions (model, at desc);

-- Down Migration
drop table admissions;
