-- What it takes to judge a rejected record again as if it had just come: how to read it, and what names it.

-- Up Migration
alter table rejected
  -- Of a record that came in a file: the file's SHA-256, upload or receipt, and the line or row.
  add column file text,
  add column line bigint,
  -- Encrypted, because it could not be read and its source has secrets.
  add column sealed text,
  -- What is kept is not quite what came (cut, rounded, not in UTF-8): it can be shown, not taken in again.
  add column altered boolean not null default false,
  -- Those of its message that say how to read it.
  add column headers json not null default '{}',
  -- What names it if it has no id of its own. Null in rows older than this column: where it came from.
  add column fallback_id text,
  -- The newest event of its project when it arrived, where that lives by its events.
  add column clock timestamptz(3),
  drop constraint rejected_check1,
  add constraint rejected_payload_check check (num_nonnulls(data, text, sealed) <= 1),
  add constraint rejected_file_check check ((file is null) = (line is null));
create index rejected_by_file on rejected (file, number) where file is not null;
-- A request that is made again under its key is the same receipt.
create unique index rejected_by_request on rejected (request, position) where request is not null;
create unique index duplicates_by_request on duplicates (request, position) where request is not null;

-- Down Migration
drop index duplicates_by_request, rejected_by_request, rejected_by_file;
alter table rejected
  drop constraint rejected_file_check,
  drop constraint rejected_payload_check,
  add constraint rejected_check1 check ((data is null) or (text is null)),
  drop column clock,
  drop column fallback_id,
  drop column headers,
  drop column altered,
  drop column sealed,
  drop column line,
  drop column file;
