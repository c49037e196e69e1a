-- The definitions of the kinds that a service owns, with every older version. A removed definition keeps its
-- versions: numbers go on from there, because stored data names the version that made it.

-- Up Migration
create table definitions (
  kind text not null,
  name text not null,
  version integer not null check (version > 0),
  project text not null,
  -- json and not jsonb: the order of fields is part of some definitions (the parts of an entity's key).
  body json not null,
  -- SHA-256 of the body in canonical form: equal bodies, whatever the order of their fields.
  body_hash text not null,
  actor text not null,
  changed_at timestamptz(3) not null default now(),
  removed_at timestamptz(3),
  removed_by text,
  primary key (kind, name, version),
  check ((removed_at is null) = (removed_by is null))
);

create view current_definitions as
select kind, name, version, project, body, body_hash, actor, changed_at
from definitions
join (select kind, name, max(version) as version from definitions group by kind, name) as newest
  using (kind, name, version)
where removed_at is null;

-- Down Migration
drop view current_definitions;
drop table definitions;
