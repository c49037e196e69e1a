/** The SQL of records: storing what events say, and reading the histories of entities. @module */
import type { DataRecord } from "shared/contracts/envelope.ts";
import { type Instant, toInstant } from "shared/contracts/time.ts";
import type { Queryable, Transaction } from "shared/db/connection.ts";
import type { EntityRecord } from "../domain/history.ts";

/** A row of `records`, as it is sent to PostgreSQL. */
export interface RecordRow {
  source: string;
  id: string;
  definition: number;
  entity: string;
  entity_key: string;
  event_time: Instant;
  known_at: Instant;
  data: DataRecord;
}

/** Events in one statement: larger ones gain nothing (and one JSON text may not be larger than 1 GiB). */
const EVENTS_AT_ONCE = 2_000;

/**
 * Stores the rows that are not there yet, and not retracted.
 *
 * @param events the rows of each event, each a {@link RecordRow} in JSON
 * @returns how many events of each source had a row that was not there
 */
export async function storeRecords(
  tx: Transaction,
  events: readonly (readonly string[])[],
): Promise<Map<string, number>> {
  const stored = new Map<string, number>();
  // Never half of an event's rows: it would count in two statements.
  for (let first = 0; first < events.length; first += EVENTS_AT_ONCE) {
    const batch = `[${events.slice(first, first + EVENTS_AT_ONCE).flat().join()}]`;
    const counts = await tx<{ source: string; events: number }[]>`
      with stored as (
        insert into records (source, id, definition, entity, entity_key, event_time, known_at, data)
        select source, id, definition, entity, entity_key, event_time, known_at, data
        from json_to_recordset(${batch}::text::json) as incoming(
          source text, id text, definition integer, entity text, entity_key text,
          event_time timestamptz, known_at timestamptz, data jsonb
        )
        where not exists (
          select from retracted_events r
          where r.source = incoming.source and r.id = incoming.id and r.definition >= incoming.definition
        )
        on conflict do nothing
        returning source, id, definition
      )
      select source, count(distinct (id, definition)) as events from stored group by source`;
    for (const { source, events } of counts) stored.set(source, (stored.get(source) ?? 0) + events);
  }
  return stored;
}

export interface HistoryQuery {
  entity: string;
  source: string;
  /** Canonical entity keys. */
  keys: readonly string[];
  /** Fields that are read; undefined: the whole records, because filters may read any. */
  fields: readonly string[] | undefined;
  /** Event time in (after, until], milliseconds since 1970; default: all. */
  after?: number;
  until?: number;
  /** Known-at at or before; default: all. */
  knownBy?: number;
}

/** The records of some entities from one source by entity key, each ordered by event time, id and definition. */
export async function readHistories(
  db: Queryable,
  query: HistoryQuery,
): Promise<Map<string, EntityRecord[]>> {
  const { entity, source, keys, fields, after = -Infinity, until = Infinity, knownBy = Infinity } = query;
  const data = fields === undefined || fields.length > MAX_PROJECTED
    ? db`data::json`
    : db`${projection(db, fields)}`;
  const rows = await db<HistoryRow[]>`
    select entity_key, date_part('epoch', event_time) as time, date_part('epoch', known_at) as known_at,
      id, definition, ${data} as data
    from records
    where entity = ${entity} and source = ${source} and entity_key = any(${keys as string[]})
      and event_time > ${bound(after)} and event_time <= ${bound(until)} and known_at <= ${bound(knownBy)}
    order by entity_key, event_time, id, definition`;
  const histories = new Map<string, EntityRecord[]>();
  for (const { entity_key, time, known_at, id, definition, data } of rows) {
    const record = { time: toMs(time), knownAt: toMs(known_at), id, definition, data };
    const history = histories.get(entity_key);
    if (history === undefined) histories.set(entity_key, [record]);
    else history.push(record);
  }
  return histories;
}

interface HistoryRow {
  entity_key: string;
  /** Seconds since 1970. */
  time: number;
  known_at: number;
  id: string;
  definition: number;
  data: DataRecord;
}

/** A function of PostgreSQL takes at most 100 arguments, two of them a field. */
const MAX_PROJECTED = 50;

/** Only these fields of a record: less to send and to read. */
function projection(db: Queryable, fields: readonly string[]) {
  if (fields.length === 0) return db`'{}'::json`;
  const pairs = fields.map((field) => db`${field}::text, data -> ${field}::text`);
  const list = pairs.reduce((all, pair) => db`${all}, ${pair}`);
  return db`json_build_object(${list})`;
}

/** The newest event time of each entity's records at or before a time, known by it. */
export async function readNewestTimes(
  db: Queryable,
  query: { entity: string; source: string; keys: readonly string[]; until: number },
): Promise<Map<string, number>> {
  const { entity, source, keys, until } = query;
  const rows = await db<{ key: string; time: number }[]>`
    select asked.key, date_part('epoch', newest.event_time) as time
    from unnest(${keys as string[]}::text[]) as asked(key)
    cross join lateral (
      select event_time from records
      where entity = ${entity} and source = ${source} and entity_key = asked.key
        and event_time <= ${bound(until)} and known_at <= ${bound(until)}
      order by event_time desc limit 1
    ) as newest`;
  return new Map(rows.map(({ key, time }) => [key, toMs(time)]));
}

/** How many entities a source has records of. */
export async function countKeys(db: Queryable, query: { entity: string; source: string }): Promise<number> {
  const [row] = await db<{ keys: number }[]>`
    select count(distinct entity_key) as keys from records
    where entity = ${query.entity} and source = ${query.source}`;
  return row!.keys;
}

/** The next entity keys that a source has records of, in their order (by bytes). */
export async function readKeysAfter(
  db: Queryable,
  query: { entity: string; source: string; after: string; limit: number },
): Promise<string[]> {
  const { entity, source, after, limit } = query;
  // A loose index scan: one descent a key, however many records the key has.
  const rows = await db<{ key: string }[]>`
    with recursive keys as (
      (
        select entity_key as key, 1 as number from records
        where entity = ${entity} and source = ${source} and entity_key > ${after}
        order by entity_key limit 1
      )
      union all
      select next.key, number + 1
      from keys cross join lateral (
        select entity_key as key from records
        where entity = ${entity} and source = ${source} and entity_key > keys.key
        order by entity_key limit 1
      ) as next
      where number < ${limit}
    )
    select key from keys`;
  return rows.map(({ key }) => key);
}

const YEAR_1 = Date.parse("0001-01-01T00:00:00.000Z");
const YEAR_10000 = Date.parse("+010000-01-01T00:00:00.000Z");

/** No record lies before the year 1 or after 9999, where PostgreSQL and JavaScript write years otherwise. */
function bound(ms: number): string {
  if (ms >= YEAR_10000) return "infinity";
  return ms < YEAR_1 ? "-infinity" : toInstant(ms);
}

function toMs(seconds: number): number {
  return Math.round(seconds * 1000);
}
