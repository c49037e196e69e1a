/** The SQL of buckets (domain/buckets.ts). @module */
import type { Queryable, Transaction } from "shared/db/connection.ts";
import { type Bucket, STALE_MS } from "../domain/buckets.ts";
import { LIFETIME } from "../domain/view_storage.ts";

export interface BucketKey {
  /** Row of `view_versions`. */
  viewVersion: number;
  key: string;
  sizeMs: number;
  startMs: number;
}

/** A bucket as it is sent to PostgreSQL. */
export interface BucketRow extends BucketKey {
  maxTimeMs: number;
  maxKnownAtMs: number;
  cells: Bucket["cells"];
}

/** Buckets in one statement. */
const AT_ONCE = 10_000;

/** Position asked, start, newest event time, newest known-at, cells. */
type StoredRow = readonly [string, string, string, string, string];

/** Those of the buckets that are there, by their position in the list. */
export async function readStored(
  tx: Transaction,
  keys: readonly BucketKey[],
): Promise<Map<number, Bucket>> {
  const stored = new Map<number, Bucket>();
  for (let first = 0; first < keys.length; first += AT_ONCE) {
    const page = keys.slice(first, first + AT_ONCE);
    const rows = await tx`
      select asked.index::text, start_ms::text, max_time_ms::text, max_known_at_ms::text, cells
      from unnest(
        ${page.map(({ viewVersion }) => viewVersion)}::integer[], ${page.map(({ key }) => key)}::text[],
        ${page.map(({ sizeMs }) => toSize(sizeMs))}::bigint[], ${page.map(({ startMs }) => startMs)}::bigint[]
      ) with ordinality as asked(view_version, entity_key, size_ms, start_ms, index)
      join buckets using (view_version, entity_key, size_ms, start_ms)`.values();
    for (const row of rows as unknown as StoredRow[]) stored.set(first + Number(row[0]) - 1, toBucket(row));
  }
  return stored;
}

/** Stores buckets as they are now; each may be there once. */
export async function putBuckets(tx: Transaction, buckets: readonly BucketRow[]): Promise<void> {
  for (let first = 0; first < buckets.length; first += AT_ONCE) {
    const page = buckets.slice(first, first + AT_ONCE);
    await tx`
      insert into buckets (view_version, entity_key, size_ms, start_ms, max_time_ms, max_known_at_ms, cells)
      select * from unnest(
        ${page.map(({ viewVersion }) => viewVersion)}::integer[], ${page.map(({ key }) => key)}::text[],
        ${page.map(({ sizeMs }) => toSize(sizeMs))}::bigint[], ${
      page.map(({ startMs }) => startMs)
    }::bigint[],
        ${page.map(({ maxTimeMs }) => maxTimeMs)}::bigint[],
        ${page.map(({ maxKnownAtMs }) => maxKnownAtMs)}::bigint[],
        ${page.map(({ cells }) => JSON.stringify(cells))}::text[]
      )
      on conflict (view_version, entity_key, size_ms, start_ms) do update set
        max_time_ms = excluded.max_time_ms,
        max_known_at_ms = excluded.max_known_at_ms,
        cells = excluded.cells`;
  }
}

/** Marks buckets as to be made anew; one that is not there is marked all the same. */
export async function markStale(tx: Transaction, keys: readonly BucketKey[]): Promise<void> {
  for (let first = 0; first < keys.length; first += AT_ONCE) {
    const page = keys.slice(first, first + AT_ONCE);
    await tx`
      insert into buckets (view_version, entity_key, size_ms, start_ms, max_time_ms, max_known_at_ms, cells)
      select distinct view_version, entity_key, size_ms, start_ms, 0, ${STALE_MS}::bigint, '[]'
      from unnest(
        ${page.map(({ viewVersion }) => viewVersion)}::integer[], ${page.map(({ key }) => key)}::text[],
        ${page.map(({ sizeMs }) => toSize(sizeMs))}::bigint[], ${page.map(({ startMs }) => startMs)}::bigint[]
      ) as marked(view_version, entity_key, size_ms, start_ms)
      on conflict (view_version, entity_key, size_ms, start_ms) do update set max_known_at_ms = ${STALE_MS}::bigint`;
  }
}

/** The versions of views that have stale buckets. */
export async function readStaleVersions(db: Queryable): Promise<number[]> {
  const rows = await db<{ id: number }[]>`
    select distinct view_version as id from buckets where max_known_at_ms = 9007199254740991`;
  return rows.map(({ id }) => id);
}

/** Some entities with stale buckets in a version of a view. */
export async function readStaleKeys(
  db: Queryable,
  { viewVersion, limit }: { viewVersion: number; limit: number },
): Promise<string[]> {
  const rows = await db<{ key: string }[]>`
    select distinct entity_key as key from (
      select entity_key from buckets
      where view_version = ${viewVersion} and max_known_at_ms = 9007199254740991
      order by entity_key limit ${limit * 20}
    ) as stale
    order by key limit ${limit}`;
  return rows.map(({ key }) => key);
}

export async function removeBuckets(
  tx: Transaction,
  { viewVersion, keys }: { viewVersion: number; keys: readonly string[] },
): Promise<void> {
  await tx`
    delete from buckets where view_version = ${viewVersion} and entity_key = any(${keys as string[]}::text[])`;
}

/** What is asked of the buckets of an entity: those of one level with a start in [from, to). */
export interface RangeQuery {
  viewVersion: number;
  key: string;
  sizeMs: number;
  fromMs: number;
  toMs: number;
}

/** The buckets of each range, by start, and the snapshot: one, since it is one statement. */
export async function readRanges(
  db: Queryable,
  ranges: readonly RangeQuery[],
): Promise<{ found: Bucket[][]; snapshot: string }> {
  const found: Bucket[][] = ranges.map(() => []);
  let snapshot = "";
  // Without the offset the planner could turn the ranges into one scan of everything.
  const rows = await db`
    select '0', pg_current_snapshot()::text, '', '', ''
    union all
    select asked.index::text, found.start_ms::text, found.max_time_ms::text, found.max_known_at_ms::text, found.cells
    from unnest(
      ${ranges.map(({ viewVersion }) => viewVersion)}::integer[], ${ranges.map(({ key }) => key)}::text[],
      ${ranges.map(({ sizeMs }) => toSize(sizeMs))}::bigint[],
      ${ranges.map(({ fromMs }) => fromMs)}::bigint[], ${ranges.map(({ toMs }) => toMs)}::bigint[]
    ) with ordinality as asked(view_version, entity_key, size_ms, from_ms, to_ms, index)
    cross join lateral (
      select start_ms, max_time_ms, max_known_at_ms, cells from buckets
      where buckets.view_version = asked.view_version and buckets.entity_key = asked.entity_key
        and buckets.size_ms = asked.size_ms and start_ms >= asked.from_ms and start_ms < asked.to_ms
      order by start_ms offset 0
    ) as found`.values();
  for (const row of rows as unknown as StoredRow[]) {
    if (row[0] === "0") snapshot = row[1];
    else found[Number(row[0]) - 1]!.push(toBucket(row));
  }
  return { found, snapshot };
}

function toSize(sizeMs: number): number {
  return sizeMs === LIFETIME ? 0 : sizeMs;
}

function toBucket([, startMs, maxTimeMs, maxKnownAtMs, cells]: StoredRow): Bucket {
  return {
    startMs: Number(startMs),
    maxTimeMs: Number(maxTimeMs),
    maxKnownAtMs: Number(maxKnownAtMs),
    cells: JSON.parse(cells),
  };
}
