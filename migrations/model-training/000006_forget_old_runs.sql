-- What retention goes by: runs whose progress was forgotten, and files that came with a run.

-- Up Migration
alter table runs
  -- Its events are gone but for the last one.
  add column progress_forgotten boolean not null default false;
alter table run_artifacts
  -- The service has put its file into the file store, and may remove it.
  add column owned boolean not null default false;
create index run_artifacts_of_file on run_artifacts (sha256);
create index runs_with_progress on runs (finished_at) where finished_at is not null and not progress_forgotten;
create index runs_to_forget on runs (finished_at) where finished_at is not null and version is null;
create index runs_tried_again on runs (retry_of) where retry_of is not null;
create index runs_by_training_set on runs (training_set) where training_set is not null;
create index versions_of_file on versions (sha256);

-- Down Migration
drop index versions_of_file, runs_by_training_set, runs_tried_again, runs_to_forget, runs_with_progress,
  run_artifacts_of_file;
alter table run_artifacts drop column owned;
alter table runs drop column progress_forgotten;
