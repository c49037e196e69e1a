/** Making the buckets of entities anew from their records. @module */
import type { Transaction } from "shared/db/connection.ts";
import { planOf } from "./bucket_plans.ts";
import {
  type BucketPlan,
  type BucketUpdate,
  cellsOf,
  mergeStored,
  summarizeRecords,
} from "./domain/bucket_updates.ts";
import { bucketStart } from "./domain/buckets.ts";
import type { EntityRecord } from "./domain/history.ts";
import { type BucketRow, putBuckets, removeBuckets } from "./repository/buckets.ts";
import { type HistoryQuery, readHistories } from "./repository/records.ts";
import type { ViewVersionRow } from "./repository/view_versions.ts";

/** Of one entity. */
const RECORDS_AT_ONCE = 2_000;

/**
 * An entity with more records than are held at once is read in pages: memory does not grow with them. The caller holds
 * the lock of the source.
 *
 * @param version of the view
 */
export async function fillKeys(
  tx: Transaction,
  version: ViewVersionRow,
  keys: readonly string[],
  { recordsAtOnce = RECORDS_AT_ONCE } = {},
): Promise<void> {
  const plan = await planOf(tx, version);
  const { fields, filters } = plan.layout;
  const query = {
    entity: version.entity,
    source: version.source,
    fields: filters.length > 0 ? undefined : fields,
    limit: recordsAtOnce,
  };
  await removeBuckets(tx, { viewVersion: version.id, keys });
  const put = (updates: readonly BucketUpdate[]) =>
    putBuckets(tx, updates.map((one) => toRow(plan, version, one)));
  const histories = await readHistories(tx, { ...query, keys });
  const { short = [], long = [] } = Object.groupBy(
    histories,
    ([, { length }]) => length < recordsAtOnce ? "short" : "long",
  );
  await put(summarizeRecords(plan, short.flatMap(([key, records]) => withKey(key, records))));
  for (const [key, records] of long) await fillInPages(tx, plan, { query, key, first: records, put });
}

async function fillInPages(
  tx: Transaction,
  plan: BucketPlan,
  { query, key, first, put }: {
    query: Omit<HistoryQuery, "keys"> & { limit: number };
    key: string;
    first: EntityRecord[];
    put: (updates: readonly BucketUpdate[]) => Promise<void>;
  },
): Promise<void> {
  let page = first;
  let open: BucketUpdate[] = [];
  while (page.length === query.limit) {
    const records = withoutLastEvent(page);
    const last = records.at(-1)!;
    const updates = join(plan, open, summarizeRecords(plan, withKey(key, records)));
    const isOpen = ({ sizeMs, startMs }: BucketUpdate) => startMs === bucketStart(last.time, sizeMs);
    open = updates.filter(isOpen);
    await put(updates.filter((update) => !isOpen(update)));
    page = (await readHistories(tx, { ...query, keys: [key], afterEvent: last })).get(key) ?? [];
  }
  await put(join(plan, open, summarizeRecords(plan, withKey(key, page))));
}

/** The versions of one event stay together: those of the last one may go on, and come with the next page. */
function withoutLastEvent(page: EntityRecord[]): EntityRecord[] {
  const { time, id } = page.at(-1)!;
  const end = page.findLastIndex((record) => record.time !== time || record.id !== id) + 1;
  if (end === 0) {
    throw new RangeError(`Cannot page the records of the event "${id}": it has ${page.length} versions`);
  }
  return page.slice(0, end);
}

/** What the page before left open, and what this one adds to it. */
function join(plan: BucketPlan, open: readonly BucketUpdate[], updates: BucketUpdate[]): BucketUpdate[] {
  const rest = open.filter((before) => {
    const same = updates.find(({ sizeMs, startMs }) =>
      sizeMs === before.sizeMs && startMs === before.startMs
    );
    if (same !== undefined) mergeStored(plan, same, { ...before, cells: cellsOf(plan, before) });
    return same === undefined;
  });
  return [...rest, ...updates];
}

function withKey(key: string, records: readonly EntityRecord[]) {
  return records.map((record) => ({ ...record, key }));
}

function toRow(plan: BucketPlan, { id }: ViewVersionRow, update: BucketUpdate): BucketRow {
  const { key, sizeMs, startMs, maxTimeMs, maxKnownAtMs } = update;
  return { viewVersion: id, key, sizeMs, startMs, maxTimeMs, maxKnownAtMs, cells: cellsOf(plan, update) };
}
