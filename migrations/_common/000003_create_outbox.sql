-- Messages written in the transaction of the change that they tell of; the relay (shared/db/outbox.ts) publishes
-- them in the order of their ids and deletes them when JetStream has acknowledged.

-- Up Migration
create table outbox (
  id bigint generated always as identity primary key,
  subject text not null,
  headers jsonb not null default '{}',
  payload bytea not null,
  -- Nats-Msg-Id: a message that is published twice within two minutes is stored once.
  message_id text not null
);

-- Down Migration
drop table outbox;
