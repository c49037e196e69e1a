-- Buckets that no window reaches any more are removed.

-- Up Migration

-- Windows that end before this time may miss buckets, and are read from the records; null: none is missing.
alter table view_versions add column intact_from_ms bigint;
alter table view_versions add column intact_from_changed_at timestamptz(3);

-- Down Migration
truncate buckets;
update view_versions set status = 'building', filled_to = '', keys_filled = 0, keys_total = 0, changed_at = now()
where status <> 'retired';
alter table view_versions drop column intact_from_ms, drop column intact_from_changed_at;
