-- Records that are taken back after they were stored.

-- Up Migration

-- The transaction that took it back: reads before it saw the record, and labels over it are looked at again.
alter table records add column withdrawn_tx bigint;
create index records_withdrawn on records (withdrawn_tx) where withdrawn_tx is not null;

-- Down Migration
drop index records_withdrawn;
alter table records drop column withdrawn_tx;
