-- Versions with tags, notes and an origin, some imported, some retired; aliases that are removed and rolled back;
-- comparisons with their slices.

-- Up Migration
alter table versions
  add column origin text not null default 'trained' check (origin in ('trained', 'imported')),
  add column algorithm text,
  -- How far its labels looked, a duration.
  add column horizon text,
  -- T of the newest row that it has learnt from.
  add column train_until timestamptz(3),
  add column curves json,
  add column hints json not null default '[]',
  add column input_example json,
  add column notes text not null default '',
  add column retired_at timestamptz(3),
  add column retired_by text,
  add column retired_reason text,
  alter column definition drop not null,
  alter column training_set drop not null,
  alter column lineage drop not null,
  alter column evaluation drop not null,
  add constraint versions_retired
    check ((retired_at is null) = (retired_by is null) and (retired_at is null) = (retired_reason is null));
update versions v
set algorithm = r.algorithm, horizon = r.spec -> 'label' ->> 'within',
  train_until = (v.evaluation ->> 'trainUntil')::timestamptz
from runs r where r.id = v.run;
alter table versions alter column algorithm set not null;

create table version_tags (
  model text not null,
  version integer not null,
  key text not null,
  value text not null,
  primary key (model, version, key),
  foreign key (model, version) references versions
);
create index versions_of_tag on version_tags (model, key, version desc) include (value);
create index versions_of_tag_value on version_tags (model, key, value, version desc);

create index aliases_of_version on aliases (model, version);

alter table alias_moves
  add column id bigint generated always as identity unique,
  add column kind text not null default 'set' check (kind in ('set', 'rollback', 'remove')),
  -- Null where the alias points to nothing any more.
  alter column version drop not null,
  add constraint alias_moves_removed check (kind <> 'remove' or version is null);
drop index alias_moves_by_time;
create index alias_moves_of_model on alias_moves (model, id desc);
create index alias_moves_of_version on alias_moves (model, version, id desc);

alter table comparisons add column slices json not null default '[]';
drop index comparisons_of_model;
-- Ids are UUIDv7: their order is that of their times.
create index comparisons_of_model on comparisons (model, id desc);
create index comparisons_of_candidate on comparisons (model, candidate, id desc);

-- Down Migration
drop index comparisons_of_candidate, comparisons_of_model, alias_moves_of_version, alias_moves_of_model,
  aliases_of_version;
create index comparisons_of_model on comparisons (model, at desc);
alter table comparisons drop column slices;
alter table alias_moves disable trigger append_only;
delete from alias_moves where version is null;
alter table alias_moves enable trigger append_only;
alter table alias_moves
  drop constraint alias_moves_removed, drop column id, drop column kind, alter column version set not null;
create index alias_moves_by_time on alias_moves (model, at desc, alias, revision desc);
drop table version_tags;
delete from comparisons where (model, candidate) in (select model, version from versions where origin = 'imported')
  or (model, champion) in (select model, version from versions where origin = 'imported');
delete from aliases where (model, version) in (select model, version from versions where origin = 'imported');
alter table alias_moves disable trigger append_only;
delete from alias_moves where (model, version) in (select model, version from versions where origin = 'imported');
alter table alias_moves enable trigger append_only;
delete from versions where origin = 'imported';
alter table versions
  drop constraint versions_retired,
  drop column origin, drop column algorithm, drop column horizon, drop column train_until, drop column curves,
  drop column hints, drop column input_example, drop column notes, drop column retired_at, drop column retired_by,
  drop column retired_reason,
  alter column definition set not null,
  alter column training_set set not null,
  alter column lineage set not null,
  alter column evaluation set not null;
