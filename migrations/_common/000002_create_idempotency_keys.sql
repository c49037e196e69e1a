-- The answers that were given to calls with an idempotency key. A key is good for 24 hours; older ones are
-- deleted, a few at a time, by the calls that come after (shared/db/idempotency.ts).

-- Up Migration
create table idempotency_keys (
  endpoint text not null,
  key text not null,
  request_hash text not null,
  reply json,
  created_at timestamptz(3) not null default now(),
  primary key (endpoint, key)
);

create index idempotency_keys_created_at on idempotency_keys (created_at);

-- Down Migration
drop table idempotency_keys;
