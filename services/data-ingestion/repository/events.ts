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
 * @throws when a key is taken, which ends the transaction: see {@link isTakenKey}
 */
export async function insertNewEvents(tx: Transaction, events: readonly EventRows[]): Promise<void> {
  for (const { source, definition, columns } of events) {
    await tx`
      with r as materialized (select * from ${rowsFrom(tx, columns)}),
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
  const isExpired = ({ event, holder }: Conflict) =>
    Date.parse(holder.arrivedAt) + horizonMs(event.source) < Date.parse(event.arrivedAt);
  const conflicts: Conflict[] = [];
  for (let wanting = inKeyOrder(events); wanting.length > 0;) {
    const { count } = await tx`
      insert into event_keys (source, id, sequence, request, position, arrived_at)
      select source, id, sequence, request, position, arrived_at from ${keyRows(tx, wanting)}
      on conflict do nothing`;
    if (count === wanting.length) break;
    const { held, gone } = await findHolders(tx, wanting);
    conflicts.push(...held.filter((conflict) => !isExpired(conflict)));
    const expired = held.filter(isExpired);
    const taken = await takeOver(tx, expired);
    // What was there a moment ago and is not now, or not as it was, has just been forgotten or taken over.
    wanting = inKeyOrder([...gone, ...expired.filter((_, n) => !taken.has(n)).map(({ event }) => event)]);
  }
  const taken = new Set(conflicts.map(({ event }) => event));
  for (const { source, definition, columns } of toEventRows(events.filter((event) => !taken.has(event)))) {
    await tx`${insertFrom(tx, { source, definition })} ${rowsFrom(tx, columns)}`;
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

/** Who holds the keys of these events, but for those that this transaction has written, and which keys nobody holds. */
async function findHolders(
  tx: Transaction,
  events: readonly AcceptedEvent[],
): Promise<{ held: Conflict[]; gone: AcceptedEvent[] }> {
  const rows = await tx<({ n: number; own: boolean | null } & Conflict["holder"])[]>`
    select wanted.n, key.xmin = pg_current_xact_id()::xid as own, key.sequence, key.request, key.position,
      key.arrived_at as "arrivedAt"
    from unnest(
      ${arrayText(events.map((_, n) => n))}::text::integer[],
      ${arrayText(events.map(({ source }) => source))}::text::text[],
      ${arrayText(events.map(({ id }) => id))}::text::text[]
    ) as wanted (n, source, id)
    left join event_keys key on key.source = wanted.source and key.id = wanted.id
    where key.xmin is distinct from pg_current_xact_id()::xid
    order by wanted.n`;
  return {
    held: rows.flatMap(({ n, own, ...holder }) => own === null ? [] : [{ event: events[n]!, holder }]),
    gone: rows.flatMap(({ n, own }) => own === null ? [events[n]!] : []),
  };
}

/** Gives keys whose time is over to the events that want them. @returns the positions of those that got theirs */
async function takeOver(tx: Transaction, expired: readonly Conflict[]): Promise<Set<number>> {
  if (expired.length === 0) return new Set();
  const taken = await tx<{ n: number }[]>`
    update event_keys as key
    set sequence = k.sequence, request = k.request, position = k.position, arrived_at = k.arrived_at
    from ${keyRows(tx, expired.map(({ event }) => event))}
    join unnest(${arrayText(expired.map(({ holder }) => holder.arrivedAt))}::text::timestamptz[])
      with ordinality as held (arrived_at, n) using (n)
    where key.source = k.source and key.id = k.id and key.arrived_at = held.arrived_at
    returning k.n`;
  return new Set(taken.map(({ n }) => n - 1));
}

/** Events of one source and version as they are sent to PostgreSQL. */
export interface EventRows {
  source: string;
  definition: number;
  columns: EventColumns;
}

/** A PostgreSQL array a column. */
type EventColumns = Record<
  | "ids"
  | "times"
  | "knownAts"
  | "arrivedAts"
  | "sequences"
  | "requests"
  | "positions"
  | "entities"
  | "actors"
  | "traceparents"
  | "data",
  string
>;

/**
 * Makes events ready to be inserted: what is the same for all of a source and version is sent once, and what none of
 * them has is not sent at all, since an array that ends early goes on with nulls.
 *
 * @param events no two with the same source and id
 */
export function toEventRows(events: readonly AcceptedEvent[]): EventRows[] {
  const groups = Map.groupBy(inKeyOrder(events), ({ source, definition }) => `${source} ${definition}`);
  return [...groups.values()].map((group) => {
    const { source, definition } = group[0]!;
    return { source, definition, columns: columnsOf(group) };
  });
}

function columnsOf(events: readonly AcceptedEvent[]): EventColumns {
  const all = (value: (event: AcceptedEvent) => string | number) => arrayText(events.map(value));
  const some = (value: (event: AcceptedEvent) => string | number | null | undefined): string => {
    const values = events.map((event) => value(event) ?? null);
    return arrayText(values.every((found) => found === null) ? [] : values);
  };
  return {
    ids: all(({ id }) => id),
    times: all(({ time }) => time),
    knownAts: some(({ knownAt, arrivedAt }) => knownAt === arrivedAt ? null : knownAt),
    arrivedAts: all(({ arrivedAt }) => arrivedAt),
    sequences: some(sequenceOf),
    requests: some(requestOf),
    positions: all(({ position }) => position),
    entities: some(({ entity }) => entity),
    actors: some(({ envelope }) => envelope.actor),
    traceparents: some(({ envelope }) => envelope.traceparent),
    // JSON holds no line breaks, so joined by them the records need no quoting, as an array of texts would.
    data: events.map(({ text }) => text).join("\n"),
  };
}

function rowsFrom(tx: Transaction, columns: EventColumns) {
  return tx`
    rows from (
      unnest(
        ${columns.ids}::text::text[], ${columns.times}::text::timestamptz[],
        ${columns.knownAts}::text::timestamptz[], ${columns.arrivedAts}::text::timestamptz[],
        ${columns.sequences}::text::bigint[], ${columns.requests}::text::uuid[],
        ${columns.positions}::text::integer[], ${columns.entities}::text::text[],
        ${columns.actors}::text::text[], ${columns.traceparents}::text::text[]
      ),
      string_to_table(${columns.data}, E'\n')
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
