/** What records add to the buckets of a view. @module */
import type { ViewBody } from "shared/contracts/feature_store.ts";
import { type Bucket, bucketStart } from "./buckets.ts";
import { createHistory, createLayout, type EntityRecord, type History, type Layout } from "./history.ts";
import { type Cell, createPartial, type PartialAggregate } from "./partial.ts";
import { selectRecords } from "./selection.ts";
import { planStorage } from "./view_storage.ts";
import { layOut } from "./view_plan.ts";

/** The buckets of a version of a view, compiled. */
export interface BucketPlan {
  readonly layout: Layout;
  readonly levels: readonly {
    readonly sizeMs: number;
    readonly cells: readonly { cell: Cell; filter: number }[];
  }[];
}

export interface KeyedRecord extends EntityRecord {
  /** Canonical entity key. */
  key: string;
}

/** A bucket of an entity as records make it, or as they add to it. */
export interface BucketUpdate {
  key: string;
  sizeMs: number;
  startMs: number;
  maxTimeMs: number;
  maxKnownAtMs: number;
  /** In the order of the cells of its level; undefined: nothing was taken in. */
  partials: (PartialAggregate | undefined)[];
}

/** @throws {AppError} `invalid` when a filter does not compile */
export function planBuckets(body: ViewBody): BucketPlan {
  const layout = createLayout();
  const levels = planStorage(body).levels.map(({ sizeMs, cells }) => ({
    sizeMs,
    cells: cells.map((named) => ({
      cell: layOut(named, layout),
      filter: named.filter === undefined ? -1 : layout.filter(named.filter),
    })),
  }));
  return { layout, levels };
}

/**
 * The buckets of some records, by level.
 *
 * @param records ordered by key, event time, id and definition; of an event that is among them in several versions the
 * newest counts
 */
export function summarizeRecords(plan: BucketPlan, records: readonly KeyedRecord[]): BucketUpdate[] {
  const history = createHistory(plan.layout, records);
  return plan.levels.flatMap(({ sizeMs, cells }) => {
    const { updates, bucketOf } = groupByBucket(records, sizeMs);
    cells.forEach(({ cell, filter }, place) => {
      for (const { bucket, positions } of runs(selectAll(history, filter), bucketOf)) {
        const partial = updates[bucket]!.partials[place] ??= createPartial(cell);
        partial.add(history, positions);
      }
    });
    return updates;
  });
}

/** Takes what is stored of a bucket into what records add to it. */
export function mergeStored(
  plan: BucketPlan,
  update: BucketUpdate,
  stored: Pick<Bucket, "maxTimeMs" | "maxKnownAtMs" | "cells">,
): void {
  update.maxTimeMs = Math.max(update.maxTimeMs, stored.maxTimeMs);
  update.maxKnownAtMs = Math.max(update.maxKnownAtMs, stored.maxKnownAtMs);
  const { cells } = plan.levels.find(({ sizeMs }) => sizeMs === update.sizeMs)!;
  stored.cells.forEach((state, place) => {
    if (state === null) return;
    const partial = update.partials[place] ??= createPartial(cells[place]!.cell);
    partial.merge(state);
  });
}

/** The cells of a bucket as they are stored. */
export function cellsOf(plan: BucketPlan, { sizeMs, partials }: BucketUpdate): Bucket["cells"] {
  const { cells } = plan.levels.find((level) => level.sizeMs === sizeMs)!;
  return cells.map((_, place) => partials[place]?.state() ?? null);
}

function groupByBucket(records: readonly KeyedRecord[], sizeMs: number) {
  const updates: BucketUpdate[] = [];
  /** Position of a record -> of its bucket. */
  const bucketOf = new Int32Array(records.length);
  records.forEach(({ key, time, knownAt }, position) => {
    const startMs = bucketStart(time, sizeMs);
    const last = updates.at(-1);
    if (last !== undefined && last.key === key && last.startMs === startMs) {
      last.maxTimeMs = Math.max(last.maxTimeMs, time);
      last.maxKnownAtMs = Math.max(last.maxKnownAtMs, knownAt);
    } else {
      updates.push({ key, sizeMs, startMs, maxTimeMs: time, maxKnownAtMs: knownAt, partials: [] });
    }
    bucketOf[position] = updates.length - 1;
  });
  return { updates, bucketOf };
}

function selectAll(history: History, filter: number): Int32Array {
  return selectRecords(history, { after: -Infinity, until: Infinity, knownBy: Infinity, filter });
}

/** Positions one after the other that belong to one bucket. */
function* runs(
  positions: Int32Array,
  bucketOf: Int32Array,
): Generator<{ bucket: number; positions: Int32Array }> {
  for (let first = 0; first < positions.length;) {
    const bucket = bucketOf[positions[first]!]!;
    let end = first + 1;
    while (end < positions.length && bucketOf[positions[end]!] === bucket) end++;
    yield { bucket, positions: positions.subarray(first, end) };
    first = end;
  }
}
