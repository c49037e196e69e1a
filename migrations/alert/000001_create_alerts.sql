-- Up Migration

-- Signals already counted: a redelivered one must not count twice.
create table signals_seen (
  source text not null,
  id text not null,
  seen_at timestamptz(3) not null default now(),
  primary key (source, id)
);

-- The state of a rule: how many breaches or well signals came in a row, and the alert that is firing.
create table rule_states (
  rule text primary key,
  breaches integer not null default 0,
  well integer not null default 0,
  firing uuid
);

create table alerts (
  id uuid primary key,
  project text not null,
  rule text not null,
  severity text not null,
  state text not null check (state in ('firing', 'resolved')),
  revision integer not null,
  since timestamptz(3) not null,
  resolved_at timestamptz(3),
  summary text not null,
  signal jsonb not null
);
create index alerts_by_time on alerts (since desc, id desc);

-- Down Migration
drop table alerts, rule_states, signals_seen;
