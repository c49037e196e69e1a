-- Buckets of partial aggregates, for every version of a view, beside the records that they are made of.

-- Up Migration

-- A version of an event that says there is no such record (of this entity, at this time).
alter table records add column retracted boolean not null default false;
-- Two versions of an event may be of different entities or times: the newer one then retracts the place of the older.
-- Events that are of no entity, or not yet, are kept under the entity ''.
alter table records drop constraint records_pkey;
alter table records add primary key (source, id, definition, entity, entity_key, event_time);

insert into records (source, id, definition, entity, entity_key, event_time, known_at, data, retracted)
select source, id, definition, '', '', '1970-01-01Z', '1970-01-01Z', '{}', true from retracted_events;
drop table retracted_events;

create table view_versions (
  id integer generated always as identity primary key,
  view text not null,
  version integer not null,
  source text not null,
  entity text not null,
  -- building: filled from the records, in the order of the entity keys. retired: its buckets are gone or about to be.
  status text not null default 'building' check (status in ('building', 'ready', 'retired')),
  -- Keys up to this one are filled, and kept so by what comes in.
  filled_to text collate "C" not null default '',
  keys_filled bigint not null default 0,
  keys_total bigint not null default 0,
  changed_at timestamptz(3) not null default now(),
  unique (view, version)
);
create index view_versions_by_source on view_versions (source, entity) where status <> 'retired';

-- Of which entities the events of a source are records: a new one is filled from the events stored before.
create table described_sources (
  source text not null,
  entity text not null,
  -- Events up to this id are records of the entity; null: all are.
  filled_to text collate "C" default '',
  primary key (source, entity)
);

create table buckets (
  view_version integer not null,
  entity_key text collate "C" not null,
  -- 0: the lifetime. A bucket covers (start, start + size].
  size_ms bigint not null,
  start_ms bigint not null,
  max_time_ms bigint not null,
  -- 2^53 - 1: stale, to be made anew from the records.
  max_known_at_ms bigint not null,
  -- JSON that domain/bucket_updates.ts writes; text, because nothing here looks into it.
  cells text not null,
  primary key (view_version, entity_key, size_ms, start_ms)
) with (fillfactor = 80);
create index stale_buckets on buckets (view_version, entity_key) where max_known_at_ms = 9007199254740991;

-- The versions of the views that a version of a feature service was made with.
create table feature_service_views (
  feature_service text not null,
  version integer not null,
  view text not null,
  view_version integer not null,
  primary key (feature_service, version, view)
);

-- What came before is taken to be of the views in force.
insert into feature_service_views (feature_service, version, view, view_version)
select distinct service.name, service.version, view.name, view.version
from definitions as service
cross join lateral json_array_elements_text(service.body -> 'features') as feature
join current_definitions as view on view.kind = 'view' and view.name = split_part(feature, '.', 1)
where service.kind = 'feature-service';

-- The clocks of the projects that came with what was applied.
create table applied_clocks (
  project text primary key,
  clock timestamptz(3) not null
);

insert into described_sources (source, entity, filled_to)
select distinct body ->> 'source', body ->> 'entity', null from current_definitions where kind = 'view';

insert into view_versions (view, version, source, entity)
select name, version, body ->> 'source', body ->> 'entity' from current_definitions where kind = 'view';

-- Down Migration
drop table applied_clocks, feature_service_views, buckets, described_sources, view_versions;
create table retracted_events (
  source text not null,
  id text collate "C" not null,
  definition integer not null,
  primary key (source, id)
);
insert into retracted_events (source, id, definition)
select source, id, max(definition) from records where entity = '' and retracted group by source, id;
delete from records where retracted or entity = '';
alter table records drop constraint records_pkey;
alter table records add primary key (source, id, definition, entity);
alter table records drop column retracted;
