-- Files on their way in: how far each has been taken.

-- Up Migration

create table uploads (
  upload uuid primary key,
  source text not null,
  -- The file's, for people.
  name text not null,
  format text not null,
  delimiter text not null,
  empty text not null,
  sha256 text,
  state text not null default 'open' check (state in ('open', 'complete')),
  -- Bytes (of Parquet: rows) and lines taken: JetStream has acknowledged their records.
  position bigint not null default 0,
  line bigint not null default 0,
  records bigint not null default 0,
  -- Of CSV: the names of the columns, once they are read.
  header json,
  -- Who is sending at the moment, and until when that is believed without another sign of life.
  holder uuid,
  held_until timestamptz(3),
  actor text not null,
  started_at timestamptz(3) not null default now(),
  changed_at timestamptz(3) not null default now()
);

-- A file that comes again goes on where it was left.
create unique index uploads_by_file on uploads (source, sha256, format, delimiter, empty)
  where sha256 is not null;
create index uploads_by_change on uploads (changed_at);

-- Down Migration
drop table uploads;
