-- Labels as a stream: what is published of each, and how far. Records tell when they were applied, so that those that
-- came late are found.

-- Up Migration

-- The transaction that stored the record. All of those below pg_snapshot_xmin() are visible: an exact place to go on from.
alter table records add column applied_tx bigint not null default pg_current_xact_id()::text::bigint;
-- Records are stored in the order of their transactions, nearly: a range of them is a range of pages.
create index records_by_applied_tx on records using brin (applied_tx) with (pages_per_range = 16);

create table label_progress (
  model text primary key,
  -- Of the label's definition.
  version integer not null,
  -- Labels of T up to this are published; null before the first.
  matured_until timestamptz(3),
  -- A pass that is under way, in the order of the entity keys: to a later T, or over the records applied below a
  -- transaction.
  pass_until timestamptz(3),
  pass_below_tx bigint,
  pass_after text collate "C" not null default '',
  -- Records applied below this transaction are looked at.
  looked_below_tx bigint not null,
  published bigint not null default 0,
  corrections bigint not null default 0,
  check (pass_until is null or pass_below_tx is null)
);

-- The newest revision of each label that was published.
create table published_labels (
  model text not null,
  entity_key text collate "C" not null,
  at timestamptz(3) not null,
  value jsonb not null,
  revision integer not null,
  primary key (model, entity_key, at)
);

-- Down Migration
drop table published_labels, label_progress;
drop index records_by_applied_tx;
alter table records drop column applied_tx;
