/** Keeping the buckets of views up with what is stored of their source. @module */
import type { DataRecord } from "shared/contracts/envelope.ts";
import type { Transaction } from "shared/db/connection.ts";
import { planOf } from "./bucket_plans.ts";
import {
  type BucketPlan,
  type BucketUpdate,
  cellsOf,
  type KeyedRecord,
  mergeStored,
  summarizeRecords,
} from "./domain/bucket_updates.ts";
import { bucketStart } from "./domain/buckets.ts";
import { compareRecords } from "./domain/history.ts";
import { compareText } from "./domain/text_order.ts";
import { type BucketKey, type BucketRow, markStale, putBuckets, readStored } from "./repository/buckets.ts";
import type { RecordRow } from "./repository/records.ts";
import type { ViewVersionRow } from "./repository/view_versions.ts";

/** A row of an entity that was stored. */
export interface Change {
  row: Omit<RecordRow, "data">;
  data: DataRecord;
  /** It is all that there is of its event: else its buckets can't be added to, and are made anew. */
  isNew: boolean;
}

/**
 * Adds what was stored to the buckets of the views that follow it. Where an event came in another version its buckets
 * are marked as stale: reads go to the records until `fillKeys` made them anew.
 *
 * @param following versions of views over the sources of the changes
 */
export async function updateBuckets(
  tx: Transaction,
  changes: readonly Change[],
  following: readonly ViewVersionRow[],
): Promise<void> {
  if (changes.length === 0) return;
  const ofViews = Map.groupBy(changes, ({ row }) => `${row.source} ${row.entity}`);
  const added: Added[] = [];
  const stale: BucketKey[] = [];
  for (const version of following) {
    const ofView = ofViews.get(`${version.source} ${version.entity}`) ?? [];
    const filled = ofView.filter(({ row }) => isFilled(version, row.entityKey));
    if (filled.length === 0) continue;
    const plan = await planOf(tx, version);
    const records = filled.filter(({ isNew }) => isNew).map(toRecord).sort(compareRecords);
    for (const update of summarizeRecords(plan, records)) added.push({ version, plan, update });
    for (const { row } of filled.filter(({ isNew }) => !isNew)) stale.push(...bucketsAt(version, plan, row));
  }
  const stored = await readStored(tx, added.map(toKey));
  const rows = added.map((one, index): BucketRow => {
    const before = stored.get(index);
    if (before !== undefined) mergeStored(one.plan, one.update, before);
    const { maxTimeMs, maxKnownAtMs } = one.update;
    return { ...toKey(one), maxTimeMs, maxKnownAtMs, cells: cellsOf(one.plan, one.update) };
  });
  await putBuckets(tx, rows);
  await markStale(tx, stale);
}

interface Added {
  version: ViewVersionRow;
  plan: BucketPlan;
  update: BucketUpdate;
}

/** What is behind the point up to which a version is filled comes with the filling. */
function isFilled({ status, filledTo }: ViewVersionRow, key: string): boolean {
  return status === "ready" || compareText(key, filledTo) <= 0;
}

function toKey({ version, update }: Pick<Added, "version" | "update">): BucketKey {
  const { key, sizeMs, startMs } = update;
  return { viewVersion: version.id, key, sizeMs, startMs };
}

function toRecord({ row, data }: Change): KeyedRecord {
  const record: KeyedRecord = {
    key: row.entityKey,
    time: Date.parse(row.eventTime),
    knownAt: Date.parse(row.knownAt),
    id: row.id,
    definition: row.definition,
    data,
  };
  if (row.retracted) record.retracted = true;
  return record;
}

function bucketsAt(version: ViewVersionRow, { levels }: BucketPlan, row: Change["row"]): BucketKey[] {
  const timeMs = Date.parse(row.eventTime);
  return levels.map(({ sizeMs }) => ({
    viewVersion: version.id,
    key: row.entityKey,
    sizeMs,
    startMs: bucketStart(timeMs, sizeMs),
  }));
}
