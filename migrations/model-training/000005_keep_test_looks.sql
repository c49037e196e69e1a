-- When and by whom the test part of a run was looked at, and how often others had looked at it before.

-- Up Migration
alter table runs add column test_look json;
-- Those that are counted.
create index runs_that_looked on runs (training_set) where test_look is not null;

-- Down Migration
drop index runs_that_looked;
alter table runs drop column test_look;
