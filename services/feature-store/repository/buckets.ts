/** The SQL of buckets (domain/buckets.ts). @module */
import { arrayText } from "shared/db/array_text.ts";
import type { Queryable, Transaction } from "shared/db/connection.ts";
import { type Bucket, type BucketRange, STALE_MS } from "../domain/buckets.ts";
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

/** Those of the buckets that are there, by their position in the list. */
export async function readStored(
  tx: Transaction,
  keys: readonly BucketKey[],
): Promise<Map<number, Bucket>> {
  const stored = new Map<number, Bucket>();
  for (let first = 0; first < keys.length; first += AT_ONCE) {
    const page = keys.slice(first, first + AT_ONCE);
    const [row] = await tx<{ found: string | null }[]>`
      select '[' || string_agg(
        concat('[', asked.index, ',', start_ms, ',', max_time_ms, ',', max_known_at_ms, ',', cells, ']'), ','
      ) || ']' as found
      from ${unnest(tx, page)} with ordinality as asked(view_version, entity_key, size_ms, start_ms, index)
      join buckets using (view_version, entity_key, size_ms, start_ms)`;
    if (row!.found !== null) {
      decodeBuckets(row!.found, (index, bucket) => stored.set(first + index - 1, bucket));
    }
  }
  return stored;
}

/** Stores buckets as they are now; each may be there once. */
export async function putBuckets(tx: Transaction, buckets: readonly BucketRow[]): Promise<void> {
  for (let first = 0; first < buckets.length; first += AT_ONCE) {
    const page = buckets.slice(first, first + AT_ONCE);
    // JSON holds no line breaks.
    await tx`
      insert into buckets (view_version, entity_key, size_ms, start_ms, max_time_ms, max_known_at_ms, cells)
      select * from rows from (
        ${unnest(tx, page)},
        unnest(
          ${arrayText(page.map(({ maxTimeMs }) => maxTimeMs))}::text::bigint[],
          ${arrayText(page.map(({ maxKnownAtMs }) => maxKnownAtMs))}::text::bigint[]
        ),
        string_to_table(${page.map(({ cells }) => JSON.stringify(cells)).join("\n")}, E'\n')
      )
      on conflict (view_version, entity_key, size_ms, start_ms) do update set
        max_time_ms = excluded.max_time_ms,
        max_known_at_ms = excluded.max_known_at_ms,
        cells = excluded.cells`;
  }
}

/** Keys as rows, in the order of the primary key's columns. */
function unnest(tx: Transaction, keys: readonly BucketKey[]) {
  return tx`unnest(
    ${arrayText(keys.map(({ viewVersion }) => viewVersion))}::text::integer[],
    ${arrayText(keys.map(({ key }) => key))}::text::text[],
    ${arrayText(keys.map(({ sizeMs }) => toSize(sizeMs)))}::text::bigint[],
    ${arrayText(keys.map(({ startMs }) => startMs))}::text::bigint[]
  )`;
}

/** Marks buckets as to be made anew; one that is not there is marked all the same. */
export async function markStale(tx: Transaction, keys: readonly BucketKey[]): Promise<void> {
  for (let first = 0; first < keys.length; first += AT_ONCE) {
    const page = keys.slice(first, first + AT_ONCE);
    await tx`
      insert into buckets (view_version, entity_key, size_ms, start_ms, max_time_ms, max_known_at_ms, cells)
      select distinct view_version, entity_key, size_ms, start_ms, 0, ${STALE_MS}::bigint, '[]'
      from ${unnest(tx, page)} as marked(view_version, entity_key, size_ms, start_ms)
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

/** Where a bucket stands among those of a version of a view. */
export type BucketPlace = Pick<BucketKey, "key" | "sizeMs" | "startMs">;

/**
 * Looks at the next buckets of a version of a view after a place, and removes those that begin before the oldest of their
 * size.
 *
 * @returns the newest event time in them, and the place of the last one: undefined when these were all
 */
export async function removeBefore(
  db: Queryable,
  query: {
    viewVersion: number;
    oldest: readonly { sizeMs: number; startMs: number }[];
    after: BucketPlace;
    limit: number;
  },
): Promise<{ newestMs: number; last: BucketPlace | undefined }> {
  const { viewVersion, oldest, after, limit } = query;
  const [row] = await db<(BucketPlace & { seen: number; newestMs: number })[]>`
    with page as materialized (
      select entity_key, size_ms, start_ms, max_time_ms from buckets
      where view_version = ${viewVersion}
        and (entity_key, size_ms, start_ms) > (${after.key}, ${after.sizeMs}::bigint, ${after.startMs}::bigint)
      order by entity_key, size_ms, start_ms limit ${limit}
    ), removed as (
      delete from buckets using page join unnest(
        ${oldest.map(({ sizeMs }) => sizeMs)}::bigint[], ${oldest.map(({ startMs }) => startMs)}::bigint[]
      ) as oldest(size_ms, start_ms) on oldest.size_ms = page.size_ms and page.start_ms < oldest.start_ms
      where buckets.view_version = ${viewVersion} and buckets.entity_key = page.entity_key
        and buckets.size_ms = page.size_ms and buckets.start_ms = page.start_ms
    )
    select entity_key as key, size_ms as "sizeMs", start_ms as "startMs",
      (select count(*) from page) as seen, (select max(max_time_ms) from page) as "newestMs"
    from page order by entity_key desc, size_ms desc, start_ms desc limit 1`;
  if (row === undefined) return { newestMs: -Infinity, last: undefined };
  const { seen, newestMs, ...last } = row;
  return { newestMs, last: seen < limit ? undefined : last };
}

/** Buckets of one level of a version of a view, with a start in [from, to). */
export interface VersionRange extends BucketRange {
  viewVersion: number;
}

/** Ranges that are asked for together, written once for all the reads that ask for them. */
export interface RangeSet {
  readonly ranges: readonly VersionRange[];
  /** Place in the set, version of a view, size, from, to: each as the elements of PostgreSQL's array. */
  readonly columns: readonly string[];
}

export function createRangeSet(ranges: readonly VersionRange[]): RangeSet {
  const columns = [
    ranges.map((_, place) => place),
    ranges.map(({ viewVersion }) => viewVersion),
    ranges.map(({ sizeMs }) => toSize(sizeMs)),
    ranges.map(({ fromMs }) => fromMs),
    ranges.map(({ toMs }) => toMs),
  ];
  return { ranges, columns: columns.map((column) => column.join()) };
}

/** The same ranges of some entities. */
export interface BucketQuery {
  keys: readonly string[];
  set: RangeSet;
}

/** The buckets of an entity as they are sent: as one text, which is JSON. Undefined: there are none. */
export type BucketText = string | undefined;

/** What is there of some queries, in one snapshot. */
export interface FoundBuckets {
  /** By query, and by its keys. */
  found: BucketText[][];
  /** What was visible, as PostgreSQL's `pg_snapshot`. */
  snapshot: string;
}

/** One statement, and so one snapshot; a row an entity, for rows cost more than what is in them. */
export async function readRanges(db: Queryable, queries: readonly BucketQuery[]): Promise<FoundBuckets> {
  let snapshot = "";
  const found = queries.map(({ keys }): BucketText[] => keys.map(() => undefined));
  const asked = queries.flatMap(({ keys }, query) => keys.map((key, place) => ({ query, key, place })));
  // Reads of one selection of features ask for the same set, which is sent once.
  const sets = [...new Set(queries.map(({ set }) => set))].filter(({ ranges }) => ranges.length > 0);
  const setOf = queries.map(({ set }) => sets.indexOf(set));
  const setColumn = sets.map(({ ranges }, set) => new Array(ranges.length).fill(set).join());
  const column = (number: number) => `{${sets.map(({ columns }) => columns[number]!).join()}}`;
  // Without the offset the planner could turn the ranges into one scan of everything.
  const rows = await db`
    select 0, pg_current_snapshot()::text
    union all
    select asked.number::integer, found.buckets
    from rows from (
      unnest(${arrayText(asked.map(({ query }) => setOf[query]!))}::text::integer[]),
      json_array_elements_text(${JSON.stringify(asked.map(({ key }) => key))}::text::json)
    ) with ordinality as asked(set, entity_key, number)
    cross join lateral (
      select '[' || string_agg(
        concat('[', range.place, ',', start_ms, ',', max_time_ms, ',', max_known_at_ms, ',', cells, ']'), ','
      ) || ']' as buckets
      from unnest(
        ${`{${setColumn.join()}}`}::text::integer[],
        ${column(0)}::text::integer[],
        ${column(1)}::text::integer[],
        ${column(2)}::text::bigint[],
        ${column(3)}::text::bigint[],
        ${column(4)}::text::bigint[]
      ) as range(set, place, view_version, size_ms, from_ms, to_ms)
      cross join lateral (
        select start_ms, max_time_ms, max_known_at_ms, cells from buckets
        where buckets.view_version = range.view_version and buckets.entity_key = asked.entity_key
          and buckets.size_ms = range.size_ms and start_ms >= range.from_ms and start_ms < range.to_ms
        order by start_ms offset 0
      ) as bucket
      where range.set = asked.set
    ) as found
    where found.buckets is not null`.values();
  // Taken out: what a query resolved to lives until the next full collection, and these texts are large.
  for (const [number, text] of rows.splice(0) as unknown as (readonly [number, string])[]) {
    if (number === 0) {
      snapshot = text;
      continue;
    }
    const { query, place } = asked[number - 1]!;
    found[query]![place] = text;
  }
  return { found, snapshot };
}

/** @param take told of each bucket with the position of its range in the query, by start within a range */
export function decodeBuckets(text: string, take: (range: number, bucket: Bucket) => void): void {
  for (const row of JSON.parse(text) as SentBucket[]) {
    const [range, startMs, maxTimeMs, maxKnownAtMs, cells] = row;
    take(range, { startMs, maxTimeMs, maxKnownAtMs, cells });
  }
}

/** Position of its range, start, newest event time, newest known-at, cells. */
type SentBucket = readonly [number, number, number, number, Bucket["cells"]];

function toSize(sizeMs: number): number {
  return sizeMs === LIFETIME ? 0 : sizeMs;
}
