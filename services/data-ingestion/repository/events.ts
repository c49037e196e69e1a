/** The SQL of events and of the guard that keeps each from being stored twice. @module */
import postgres from "postgres";
import type { DataRecord } from "shared/contracts/envelope.ts";
import type { Instant } from "shared/contracts/time.ts";
import { arrayText } from "shared/db/array_text.ts";
import type { Queryable, Transaction } from "shared/db/connection.ts";
import type { AcceptedEvent } from "../domain/judge.ts";
import { requestOf, sequenceOf } from "../domain/received.ts";
import type { MessageKey } from "./handled_messages.ts";

/** An event as it stands in the database. */
export interface StoredEvent {
  source: string;
  id: string;
  time: Instant;
  knownAt: Instant;
  definition: number;
  data: DataRecord;
  entity: string | null;
  actor: string | null;
  traceparent: string | null;
}

/** An event that could not be inserted, with where the one came from that holds its id. */
export interface Conflict {
  event: AcceptedEvent;
  holder: { sequence: number | null; request: string | null; position: number; arrivedAt: Instant };
}

/** PostgreSQL's code for a key that is taken. */
const UNIQUE_VIOLATION = "23505";

/** Whether it was thrown because the key of an event is taken. */
export function isTakenKey(error: unknown): boolean {
  return error instanceof postgres.PostgresError && error.code === UNIQUE_VIOLATION &&
    error.table_name === "event_keys";
}

/**
 * Inserts events whose keys are expected to be new: keys and events in one statement, for all events of a source and
 * version. It costs a third less than {@link insertUnknownEvents}.
 *
 * (Not by COPY, which would cost a little less: the driver never tells when the server refuses it.)
 *
 * @param events no two with the same source and id
 * @throws when a key is taken, which ends the transaction: see {@link isTakenKey}
 */
export async function insertNewEvents(tx: Transaction, events: readonly AcceptedEvent[]): Promise<void> {
  for (const { source, definition, rows } of byDefinition(tx, events)) {
    await tx`
      with r as materialized (select * from ${rows}),
      keys as (
        insert into event_keys (source, id, sequence, request, position, arrived_at)
        select ${source}, id, sequence, request, position, arrived_at from r
      )
      ${insertFrom(tx, { source, definition })} r`;
  }
}

/**
 * Inserts events whose keys may be taken.
 *
 * @param events no two with the same source and id
 * @param options.horizonMs for how long a key stays taken, by source
 * @returns those whose key is taken
 */
export async function insertUnknownEvents(
  tx: Transaction,
  events: readonly AcceptedEvent[],
  { horizonMs }: { horizonMs: (source: string) => number },
): Promise<Conflict[]> {
  if (events.length === 0) return [];
  const ordered = inKeyOrder(events);
  const { count } = await tx`
    insert into event_keys (source, id, sequence, request, position, arrived_at)
    select source, id, sequence, request, position, arrived_at from ${keyRows(tx, ordered)}
    on conflict do nothing`;
  const conflicts = count === events.length
    ? []
    : await takeOverExpired(tx, await findConflicts(tx, events), {
      isExpired: ({ event, holder }) =>
        Date.parse(holder.arrivedAt) + horizonMs(event.source) < Date.parse(event.arrivedAt),
    });
  const taken = new Set(conflicts.map(({ event }) => event));
  for (const { source, definition, rows } of byDefinition(tx, events.filter((event) => !taken.has(event)))) {
    await tx`${insertFrom(tx, { source, definition })} ${rows}`;
  }
  return conflicts;
}

/** In one order for all copies, so that they wait for each other instead of dying in a deadlock. */
function inKeyOrder(events: readonly AcceptedEvent[]): AcceptedEvent[] {
  return events.toSorted((a, b) => compare(a.source, b.source) || compare(a.id, b.id));
}

const compare = (a: string, b: string) => a < b ? -1 : a > b ? 1 : 0;

/** Where events came from, as a table `k` in which `n` counts them from 1. */
function keyRows(db: Queryable, events: readonly AcceptedEvent[]) {
  return db`
    unnest(
      ${arrayText(events.map(({ source }) => source))}::text::text[],
      ${arrayText(events.map(({ id }) => id))}::text::text[],
      ${arrayText(events.map(sequenceOf))}::text::bigint[], ${arrayText(events.map(requestOf))}::text::uuid[],
      ${arrayText(events.map(({ position }) => position))}::text::integer[],
      ${arrayText(events.map(({ arrivedAt }) => arrivedAt))}::text::timestamptz[]
    ) with ordinality as k (source, id, sequence, request, position, arrived_at, n)`;
}

/** The keys among these that are not from this transaction. */
async function findConflicts(tx: Transaction, events: readonly AcceptedEvent[]): Promise<Conflict[]> {
  const rows = await tx<({ n: number } & Conflict["holder"])[]>`
    select wanted.n, key.sequence, key.request, key.position, key.arrived_at as "arrivedAt"
    from unnest(
      ${events.map((_, n) => n)}::integer[], ${events.map(({ source }) => source)}::text[],
      ${events.map(({ id }) => id)}::text[]
    ) as wanted (n, source, id)
    join event_keys key on key.source = wanted.source and key.id = wanted.id
    where key.xmin <> pg_current_xact_id()::xid
    order by wanted.n`;
  return rows.map(({ n, ...holder }) => ({ event: events[n]!, holder }));
}

/** Gives keys whose time is over to the events that want them. @returns the conflicts that are left */
async function takeOverExpired(
  tx: Transaction,
  conflicts: readonly Conflict[],
  { isExpired }: { isExpired: (conflict: Conflict) => boolean },
): Promise<Conflict[]> {
  const expired = conflicts.filter(isExpired);
  if (expired.length === 0) return [...conflicts];
  const taken = await tx<{ n: number }[]>`
    update event_keys as key
    set sequence = k.sequence, request = k.request, position = k.position, arrived_at = k.arrived_at
    from ${keyRows(tx, expired.map(({ event }) => event))}
    join unnest(${expired.map(({ holder }) => holder.arrivedAt)}::timestamptz[])
      with ordinality as held (arrived_at, n) using (n)
    where key.source = k.source and key.id = k.id and key.arrived_at = held.arrived_at
    returning k.n`;
  const over = new Set(taken.map(({ n }) => expired[n - 1]));
  return conflicts.filter((conflict) => !over.has(conflict));
}

/**
 * The events of each source and version as rows. What is the same for all of them is sent once, and what none of them
 * has is not sent at all: an array that ends early goes on with nulls.
 */
function byDefinition(tx: Transaction, events: readonly AcceptedEvent[]) {
  const groups = Map.groupBy(inKeyOrder(events), ({ source, definition }) => `${source} ${definition}`);
  return [...groups.values()].map((group) => {
    const { source, definition } = group[0]!;
    return { source, definition, rows: eventRows(tx, group) };
  });
}

function eventRows(tx: Transaction, events: readonly AcceptedEvent[]) {
  const all = (value: (event: AcceptedEvent) => string | number) => arrayText(events.map(value));
  const some = (value: (event: AcceptedEvent) => string | number | null | undefined): string => {
    const values = events.map((event) => value(event) ?? null);
    return arrayText(values.every((found) => found === null) ? [] : values);
  };
  // JSON holds no line breaks, so joined by them the records need no quoting, as an array of texts would.
  return tx`
    rows from (
      unnest(
        ${all(({ id }) => id)}::text::text[], ${all(({ time }) => time)}::text::timestamptz[],
        ${some(({ knownAt, arrivedAt }) => knownAt === arrivedAt ? null : knownAt)}::text::timestamptz[],
        ${all(({ arrivedAt }) => arrivedAt)}::text::timestamptz[],
        ${some(sequenceOf)}::text::bigint[], ${some(requestOf)}::text::uuid[],
        ${all(({ position }) => position)}::text::integer[], ${some(({ entity }) => entity)}::text::text[],
        ${some(({ envelope }) => envelope.actor)}::text::text[],
        ${some(({ envelope }) => envelope.traceparent)}::text::text[]
      ),
      string_to_table(${events.map(({ text }) => text).join("\n")}, E'\n')
    ) as r (
      id, event_time, known_at, arrived_at, sequence, request, position, entity, actor, traceparent, data
    )`;
}

/** The insertion of events from rows, whose name follows. */
function insertFrom(tx: Transaction, { source, definition }: { source: string; definition: number }) {
  return tx`
    insert into events (
      source, definition, id, event_time, known_at, arrived_at, sequence, position, entity, actor, traceparent, data
    )
    select ${source}, ${definition}::integer, id, event_time, coalesce(known_at, arrived_at), arrived_at, sequence,
      position, entity, actor, traceparent, data::json
    from`;
}

/** The events that came with these messages, in the order in which they came. */
export async function readStored(db: Queryable, messages: readonly MessageKey[]): Promise<StoredEvent[]> {
  if (messages.length === 0) return [];
  return await db<StoredEvent[]>`
    select e.source, e.id, e.event_time as time, e.known_at as "knownAt", e.definition, e.data, e.entity, e.actor,
      e.traceparent
    from json_to_recordset(${JSON.stringify(messages)}::text::json)
      as wanted (sequence bigint, "arrivedAt" timestamptz)
    join events e on e.sequence = wanted.sequence and e.arrived_at = wanted."arrivedAt"
    order by e.sequence, e.position`;
}
