/** The SQL of events and of the guard that keeps each from being stored twice. @module */
import type { DataRecord } from "shared/contracts/envelope.ts";
import type { Instant } from "shared/contracts/time.ts";
import type { Queryable, Transaction } from "shared/db/connection.ts";
import type { AcceptedEvent } from "../domain/judge.ts";
import { sequenceOf } from "../domain/received.ts";

/** An event as it stands in the database. */
export interface StoredEvent {
  source: string;
  id: string;
  time: Instant;
  knownAt: Instant;
  definition: number;
  data: DataRecord;
}

/** An event that could not be inserted, with where the one came from that holds its id. */
export interface Conflict {
  event: AcceptedEvent;
  holder: { sequence: number | null; position: number; arrivedAt: Instant };
}

/**
 * Inserts events under the guard of their keys: the keys first, in the order of the index, which costs it least;
 * then what is new among the events.
 *
 * (Not by COPY, which would cost a little less: the driver never tells when the server refuses it.)
 *
 * @param events no two with the same source and id
 * @returns those whose key is taken
 */
export async function insertEvents(tx: Transaction, events: readonly AcceptedEvent[]): Promise<Conflict[]> {
  if (events.length === 0) return [];
  const ordered = events.toSorted((a, b) => compare(a.source, b.source) || compare(a.id, b.id));
  const { count } = await tx`
    insert into event_keys (source, id, sequence, position, arrived_at)
    select * from unnest(
      ${ordered.map(({ source }) => source)}::text[], ${ordered.map(({ id }) => id)}::text[],
      ${ordered.map(sequenceOf)}::bigint[], ${ordered.map(({ position }) => position)}::integer[],
      ${ordered.map(({ arrivedAt }) => arrivedAt)}::timestamptz[]
    )
    on conflict do nothing`;
  const conflicts = count === events.length ? [] : await findConflicts(tx, events);
  const taken = new Set(conflicts.map(({ event }) => event));
  await insertRows(tx, conflicts.length === 0 ? events : events.filter((event) => !taken.has(event)));
  return conflicts;
}

const compare = (a: string, b: string) => a < b ? -1 : a > b ? 1 : 0;

/** The keys among these that are not from this transaction. */
async function findConflicts(tx: Transaction, events: readonly AcceptedEvent[]): Promise<Conflict[]> {
  const rows = await tx<({ n: number } & Conflict["holder"])[]>`
    select wanted.n, key.sequence, key.position, key.arrived_at as "arrivedAt"
    from unnest(
      ${events.map((_, n) => n)}::integer[], ${events.map(({ source }) => source)}::text[],
      ${events.map(({ id }) => id)}::text[]
    ) as wanted (n, source, id)
    join event_keys key on key.source = wanted.source and key.id = wanted.id
    where key.xmin <> pg_current_xact_id()::xid
    order by wanted.n`;
  return rows.map(({ n, sequence, position, arrivedAt }) => ({
    event: events[n]!,
    holder: { sequence, position, arrivedAt },
  }));
}

async function insertRows(tx: Transaction, events: readonly AcceptedEvent[]): Promise<void> {
  if (events.length === 0) return;
  // JSON holds no line breaks, so joined by them the records need no quoting, as an array of texts would.
  await tx`
    insert into events (
      source, id, event_time, known_at, arrived_at, definition, sequence, position, data
    )
    select source, id, event_time, known_at, arrived_at, definition, sequence, position, data::json
    from rows from (
      unnest(
        ${events.map(({ source }) => source)}::text[], ${events.map(({ id }) => id)}::text[],
        ${events.map(({ time }) => time)}::timestamptz[], ${
    events.map(({ knownAt }) => knownAt)
  }::timestamptz[],
        ${events.map(({ arrivedAt }) => arrivedAt)}::timestamptz[],
        ${events.map(({ definition }) => definition)}::integer[],
        ${events.map(sequenceOf)}::bigint[], ${events.map(({ position }) => position)}::integer[]
      ),
      string_to_table(${events.map(({ text }) => text).join("\n")}, E'\n')
    ) as r (source, id, event_time, known_at, arrived_at, definition, sequence, position, data)`;
}

/** A message by what names it for good: a stream that is made anew counts from 1 again. */
export interface MessageKey {
  sequence: number;
  arrivedAt: Instant;
}

/** Which of these messages an earlier attempt has dealt with. It did so with each as a whole, or not at all. */
export async function findHandled(db: Queryable, messages: readonly MessageKey[]): Promise<Set<number>> {
  const rows = await db<{ sequence: number }[]>`
    with wanted as (
      select *
      from json_to_recordset(${JSON.stringify(messages)}::text::json)
        as r (sequence bigint, "arrivedAt" timestamptz)
    )
    select sequence from wanted
    where exists (
      select from events e where e.sequence = wanted.sequence and e.arrived_at = wanted."arrivedAt"
    ) or exists (
      select from rejected r where r.sequence = wanted.sequence and r.arrived_at = wanted."arrivedAt"
    ) or exists (
      select from duplicates d where d.sequence = wanted.sequence and d.arrived_at = wanted."arrivedAt"
    )`;
  return new Set(rows.map(({ sequence }) => sequence));
}

/** The events that came with these messages, in the order in which they came. */
export async function readStored(db: Queryable, messages: readonly MessageKey[]): Promise<StoredEvent[]> {
  if (messages.length === 0) return [];
  return await db<StoredEvent[]>`
    select e.source, e.id, e.event_time as time, e.known_at as "knownAt", e.definition, e.data
    from json_to_recordset(${JSON.stringify(messages)}::text::json)
      as wanted (sequence bigint, "arrivedAt" timestamptz)
    join events e on e.sequence = wanted.sequence and e.arrived_at = wanted."arrivedAt"
    order by e.sequence, e.position`;
}
