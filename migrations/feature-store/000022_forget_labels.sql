-- What is remembered of published labels is bounded: old ones are corrected no more.

-- Up Migration

-- Labels of T up to this are forgotten: they are neither corrected nor published again.
alter table label_progress add column forgotten_until timestamptz(3);
create index published_labels_by_age on published_labels (model, at);

-- Down Migration
drop index published_labels_by_age;
alter table label_progress drop column forgotten_until;
