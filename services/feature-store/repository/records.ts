/** The SQL of records: storing what events say, and reading the histories of entities. @module */
import type { Buffer } from "node:buffer";
import type { DataRecord } from "shared/contracts/envelope.ts";
import { type Instant, toInstant } from "shared/contracts/time.ts";
import { arrayText } from "shared/db/array_text.ts";
import type { Queryable, Transaction } from "shared/db/connection.ts";
import {
  type EntityRecord,
  type History,
  type Layout,
  layOutHistory,
  type RecordStamp,
} from "../domain/history.ts";
import { createFieldTable } from "../domain/json_fields.ts";

/** A row of `records`, as it is sent to PostgreSQL. */
export interface RecordRow {
  source: string;
  id: string;
  definition: number;
  /** Empty, like the key, for an event that is of no entity, or not yet. */
  entity: string;
  entityKey: string;
  eventTime: Instant;
  knownAt: Instant;
  /** JSON. */
  data: string;
  retracted: boolean;
}

/** Rows in one statement: more gain nothing (and one text may not be larger than 1 GiB). */
const ROWS_AT_ONCE = 5_000;

/** Stores rows that are not there yet. */
export async function insertRecords(tx: Transaction, rows: readonly RecordRow[]): Promise<void> {
  for (let first = 0; first < rows.length; first += ROWS_AT_ONCE) {
    const page = rows.slice(first, first + ROWS_AT_ONCE);
    // Columns, because PostgreSQL takes twice as long to take JSON apart. JSON holds no line breaks.
    await tx`
      insert into records (source, id, definition, entity, entity_key, event_time, known_at, retracted, data)
      select source, id, definition, entity, entity_key, event_time, known_at, retracted, data::jsonb
      from rows from (
        unnest(
          ${arrayText(page.map(({ source }) => source))}::text::text[],
          ${arrayText(page.map(({ id }) => id))}::text::text[],
          ${arrayText(page.map(({ definition }) => definition))}::text::integer[],
          ${arrayText(page.map(({ entity }) => entity))}::text::text[],
          ${arrayText(page.map(({ entityKey }) => entityKey))}::text::text[],
          ${arrayText(page.map(({ eventTime }) => eventTime))}::text::timestamptz[],
          ${arrayText(page.map(({ knownAt }) => knownAt))}::text::timestamptz[],
          ${arrayText(page.map(({ retracted }) => `${retracted}`))}::text::boolean[]
        ),
        string_to_table(${page.map(({ data }) => data).join("\n")}, E'\n')
      ) as incoming(source, id, definition, entity, entity_key, event_time, known_at, retracted, data)`;
  }
}

/**
 * Removes rows of a source that are of no entity and lie more than some days before the newest such row; not while they
 * are being made records of an entity.
 *
 * @returns how many
 */
export async function removeUnplaced(
  db: Queryable,
  { source, keepDays, limit }: { source: string; keepDays: number; limit: number },
): Promise<number> {
  const { count } = await db`
    delete from records where ctid = any(array(
      select ctid from records
      where entity = '' and source = ${source} and entity_key = '' and event_time < (
        select event_time - make_interval(days => ${keepDays}) from records
        where entity = '' and source = ${source} and entity_key = '' order by event_time desc limit 1
      ) and not exists (
        select 1 from described_sources as filling
        where filling.source = ${source} and filled_to is not null
      )
      order by event_time limit ${limit}
    ))`;
  return count;
}

/** A row that is there of an event, without its data. */
export type KnownRecord = Omit<RecordRow, "data">;

/** All rows of some events. */
export async function readKnown(
  tx: Transaction,
  events: readonly { source: string; id: string }[],
): Promise<KnownRecord[]> {
  const known: KnownRecord[] = [];
  for (let first = 0; first < events.length; first += ROWS_AT_ONCE) {
    const page = events.slice(first, first + ROWS_AT_ONCE);
    // Without the offset the planner could turn the look-ups into one scan of everything.
    const rows = await tx<KnownRecord[]>`
      select found.* from unnest(
        ${arrayText(page.map(({ source }) => source))}::text::text[],
        ${arrayText(page.map(({ id }) => id))}::text::text[]
      ) as asked(source, id)
      cross join lateral (
        select source, id, definition, entity, entity_key as "entityKey", event_time as "eventTime",
          known_at as "knownAt", retracted
        from records where records.source = asked.source and records.id = asked.id offset 0
      ) as found`;
    for (const row of rows) known.push(row);
  }
  return known;
}

/** Takes rows back that a retraction of their own version is about. */
export async function markRetracted(tx: Transaction, rows: readonly KnownRecord[]): Promise<void> {
  if (rows.length === 0) return;
  await tx`
    update records set retracted = true, withdrawn_tx = pg_current_xact_id()::text::bigint
    from unnest(
      ${rows.map(({ source }) => source)}::text[], ${rows.map(({ id }) => id)}::text[],
      ${rows.map(({ definition }) => definition)}::integer[]
    ) as withdrawn(source, id, definition)
    where records.source = withdrawn.source and records.id = withdrawn.id
      and records.definition = withdrawn.definition and not records.retracted`;
}

/** An event as it was stored, for whatever entity. */
export interface StoredEvent {
  source: string;
  id: string;
  definition: number;
  time: Instant;
  knownAt: Instant;
  data: DataRecord;
}

/** The next events of a source after an id, all versions of each: at least one, where there is any. */
export async function readEventsAfter(
  tx: Transaction,
  { source, after, limit }: { source: string; after: string; limit: number },
): Promise<StoredEvent[]> {
  const rows = await tx<(Omit<StoredEvent, "data"> & { data: string })[]>`
    with page as (
      select distinct id from (
        select id from records where source = ${source} and id > ${after} order by id limit ${limit}
      ) as next
    )
    select distinct on (id, definition) source, id, definition, event_time as time, known_at as "knownAt",
      data::text as data
    from records where source = ${source} and id in (select id from page) and not retracted
    order by id, definition`;
  return rows.map((row) => ({ ...row, data: JSON.parse(row.data) }));
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
  /** After this place in the order of a history; default: from its beginning. */
  afterEvent?: Pick<EntityRecord, "time" | "id">;
  /** Of each entity at most so many; default: all. */
  limit?: number;
}

/** The records of some entities from one source by entity key, each ordered by event time, id and definition. */
export async function readHistories(
  db: Queryable,
  query: HistoryQuery,
): Promise<Map<string, EntityRecord[]>> {
  const histories = new Map<string, EntityRecord[]>();
  for (const { key, time, known_at, id, definition, retracted, data } of await selectHistories(db, query)) {
    const record: EntityRecord = { time: toMs(time), knownAt: toMs(known_at), id, definition, data };
    if (retracted) record.retracted = true;
    const history = histories.get(key);
    if (history === undefined) histories.set(key, [record]);
    else history.push(record);
  }
  return histories;
}

/** The same as histories, laid out while they are read: where there is much to read, most of it is this. */
export async function readLaidOutHistories(
  db: Queryable,
  { layout, ...query }: HistoryQuery & { layout: Layout },
): Promise<Map<string, History>> {
  const rows = await selectHistories(db, query).raw() as unknown as RawHistoryRow[];
  const fields = createFieldTable(layout.fields);
  const histories = new Map<string, History>();
  for (let first = 0; first < rows.length;) {
    const key = rows[first]![0];
    let end = first;
    for (; end < rows.length && rows[end]![0].equals(key); end++) fields.add(rows[end]![6]);
    const own = rows.slice(first, end);
    const { value } = fields.from(first);
    const records = {
      stamps: own.map(toStamp),
      value,
      data: (position: number): DataRecord => JSON.parse(own[position]![6].toString()),
    };
    histories.set(key.toString(), layOutHistory(layout, records));
    first = end;
  }
  return histories;
}

interface HistoryRow {
  key: string;
  /** Seconds since 1970. */
  time: number;
  known_at: number;
  id: string;
  definition: number;
  retracted: boolean;
  data: DataRecord;
}

/** The columns of a {@link HistoryRow} as PostgreSQL sends them. */
type RawHistoryRow = readonly [
  key: Buffer,
  time: Buffer,
  knownAt: Buffer,
  id: Buffer,
  definition: Buffer,
  retracted: Buffer,
  data: Buffer,
];

function toStamp([, time, knownAt, id, definition, retracted]: RawHistoryRow): RecordStamp {
  const stamp = {
    time: toMs(Number(time)),
    knownAt: toMs(Number(knownAt)),
    id: id.toString(),
    definition: Number(definition),
  };
  return retracted[0] === TRUE ? { ...stamp, retracted: true } : stamp;
}

/** The first byte of a boolean that is true. */
const TRUE = 0x74;

function selectHistories(db: Queryable, query: HistoryQuery) {
  const { entity, source, keys, fields, after = -Infinity, until = Infinity, knownBy = Infinity } = query;
  const { afterEvent, limit } = query;
  const data = fields === undefined || fields.length > MAX_PROJECTED
    ? db`data`
    : db`${projection(db, fields)}`;
  // Key by key: the index gives each history in its order, whatever the planner believes of a table that has just grown.
  return db<HistoryRow[]>`
    select asked.key, date_part('epoch', event_time) as time,
      date_part('epoch', known_at) as known_at, id, definition, retracted, data
    from unnest(${[...new Set(keys)]}::text[]) with ordinality as asked(key, number)
    cross join lateral (
      select event_time, known_at, id, definition, retracted, ${data} as data
      from records
      where entity = ${entity} and source = ${source} and entity_key = asked.key
        and event_time > ${bound(after)} and event_time <= ${bound(until)} and known_at <= ${bound(knownBy)}
        ${
    afterEvent === undefined ? db`` : db`and (event_time, id) > (${bound(afterEvent.time)}, ${afterEvent.id})`
  }
      order by event_time, id, definition
      ${limit === undefined ? db`` : db`limit ${limit}`}
    ) as history
    order by asked.number, event_time, id, definition`;
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

/** The newest event time of each entity's records at or before a time, as far as they were known. */
export async function readNewestTimes(
  db: Queryable,
  query: { entity: string; source: string; keys: readonly string[]; until: number; knownBy: number },
): Promise<Map<string, number>> {
  const { entity, source, keys, until, knownBy } = query;
  const rows = await db<{ key: string; time: number }[]>`
    select asked.key, date_part('epoch', newest.event_time) as time
    from unnest(${keys as string[]}::text[]) as asked(key)
    cross join lateral (
      select event_time from records
      where entity = ${entity} and source = ${source} and entity_key = asked.key and not retracted
        and event_time <= ${bound(until)} and known_at <= ${bound(knownBy)}
        and not exists (
          select 1 from records as newer
          where newer.source = records.source and newer.id = records.id
            and newer.definition > records.definition and newer.entity = records.entity
            and newer.entity_key = records.entity_key and newer.event_time = records.event_time
            and newer.retracted and newer.known_at <= ${bound(knownBy)}
        )
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

/** Entity keys after those of the range before, up to one of them. */
export interface KeyRange {
  upTo: string;
  keys: number;
  records: number;
}

/**
 * The entity keys that a source has records of in ranges with about as many records each.
 *
 * @param query.most so many ranges at most
 * @param query.least records of a range, at least, but for an only one
 */
export async function readKeyRanges(
  db: Queryable,
  { entity, source, most, least }: { entity: string; source: string; most: number; least: number },
): Promise<KeyRange[]> {
  return await db<KeyRange[]>`
    with keys as (
      select entity_key as key, count(*) as records from records
      where entity = ${entity} and source = ${source}
      group by entity_key
    ), summed as (
      select key, records, sum(records) over (order by key) as until, sum(records) over () as total from keys
    ), placed as (
      select key, records,
        ceil(greatest(1, least(${most}::numeric, floor(total / ${least}::numeric))) * until / total) as range
      from summed
    )
    select max(key) as "upTo", count(*) as keys, sum(records)::bigint as records
    from placed group by range order by range`;
}

/** The next entity keys that a source has records of, in their order (by bytes). */
export async function readKeysAfter(
  db: Queryable,
  query: { entity: string; source: string; after: string; limit: number; /** Default: all. */ upTo?: string },
): Promise<string[]> {
  const { entity, source, after, limit, upTo } = query;
  const within = upTo === undefined ? db`` : db`and entity_key <= ${upTo}`;
  // A loose index scan: one descent a key, however many records the key has.
  const rows = await db<{ key: string }[]>`
    with recursive keys as (
      (
        select entity_key as key, 1 as number from records
        where entity = ${entity} and source = ${source} and entity_key > ${after} ${within}
        order by entity_key limit 1
      )
      union all
      select next.key, number + 1
      from keys cross join lateral (
        select entity_key as key from records
        where entity = ${entity} and source = ${source} and entity_key > keys.key ${within}
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
