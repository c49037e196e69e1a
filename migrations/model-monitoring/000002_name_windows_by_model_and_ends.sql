-- A monitor that is changed to another model or another length of window counts anew, and not into its old windows.

-- Up Migration
alter table window_counts add column ends_at timestamptz(3);
update window_counts c set ends_at = w.ends_at from drift_windows w
  where (w.monitor, w.version, w.starts_at) = (c.monitor, c.version, c.starts_at);
alter table window_counts
  alter column ends_at set not null,
  drop constraint window_counts_pkey,
  add primary key (monitor, model, version, starts_at, ends_at, name);
alter table drift_windows
  drop constraint drift_windows_pkey,
  add primary key (monitor, model, version, starts_at, ends_at);

-- Down Migration
-- Where two windows would be one, the one with fewer rows goes.
delete from drift_windows w using drift_windows other
  where (w.monitor, w.version, w.starts_at) = (other.monitor, other.version, other.starts_at)
    and (w.rows, w.model, w.ends_at) < (other.rows, other.model, other.ends_at);
delete from window_counts c where not exists (
  select from drift_windows w
  where (w.monitor, w.model, w.version, w.starts_at, w.ends_at)
    = (c.monitor, c.model, c.version, c.starts_at, c.ends_at));
alter table drift_windows
  drop constraint drift_windows_pkey,
  add primary key (monitor, version, starts_at);
alter table window_counts
  drop constraint window_counts_pkey,
  drop column ends_at,
  add primary key (monitor, version, starts_at, name);
