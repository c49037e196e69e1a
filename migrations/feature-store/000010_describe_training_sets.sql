-- What the columns of a training set hold, and lists of training sets.

-- Up Migration
alter table training_sets add column statistics json;
create index training_sets_by_project on training_sets ((request ->> 'project'), id);

-- Down Migration
drop index training_sets_by_project;
alter table training_sets drop column statistics;
