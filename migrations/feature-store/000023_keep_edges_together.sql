-- First and last values that stand in one record are one cell of a bucket: buckets are made anew from the records, which
-- answer meanwhile.

-- Up Migration
truncate buckets;
update view_versions set status = 'building', filled_to = '', keys_filled = 0, keys_total = 0, changed_at = now()
where status <> 'retired';

-- Down Migration
truncate buckets;
update view_versions set status = 'building', filled_to = '', keys_filled = 0, keys_total = 0, changed_at = now()
where status <> 'retired';
