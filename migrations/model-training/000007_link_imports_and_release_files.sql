-- Versions know the run of people's own code that they were trained in, and what their file holds; files that nothing
-- names any more are removed after a while.

-- Up Migration

-- Of an import: the logged run that its file was trained in.
alter table runs add column logged_run uuid references runs;
create index runs_imported_from on runs (logged_run) where logged_run is not null;
-- Producer, operators, inputs and outputs, as its maker wrote it; null for older versions.
alter table versions add column graph json;

-- Files that an artifact named until it was replaced or its run was forgotten, or that an import came as.
create table released_files (
  sha256 text primary key,
  -- The service has put it into the file store, and may remove it.
  owned boolean not null,
  since timestamptz(3) not null default clock_timestamp()
);
create index released_files_by_time on released_files (since);

-- Down Migration
drop table released_files;
alter table versions drop column graph;
alter table runs drop column logged_run;
