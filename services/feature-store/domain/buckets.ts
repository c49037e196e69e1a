/**
 * Which buckets a window is read from, and where records are read instead.
 *
 * A bucket holds all that is stored of its span, and says up to when all of that had happened and become known. A read at
 * T may use it when both lie at or before its T; where that is not so (T is in the past, or something came early), the
 * records of that span answer, as they always could.
 *
 * @module
 */
import type { PartialState } from "./partial.ts";
import { ceilToTick, windowStart } from "./time_grid.ts";
import { LIFETIME, type Window } from "./view_storage.ts";

export interface Bucket {
  /** It covers (start, start + size of its level]; of the lifetime's: 0, and it covers everything. */
  startMs: number;
  /** Newest event time and known-at of all that is in it, retracted and replaced versions included. */
  maxTimeMs: number;
  maxKnownAtMs: number;
  /** In the order of the cells of its level; null: nothing was taken in. */
  cells: readonly (PartialState | null)[];
}

/** The buckets of one entity in a version of a view, as far as a read asked for them. */
export interface Buckets {
  /** By start. */
  level(sizeMs: number): readonly Bucket[];
}

/** Buckets of a level whose start lies in [from, to). */
export interface BucketRange {
  sizeMs: number;
  fromMs: number;
  toMs: number;
}

/** What sees a read: event time <= at, known-at <= knownBy. */
export interface Sight {
  atMs: number;
  knownByMs: number;
}

/** How a window at T is made up: buckets by their level, and spans (after, until] of which records are read. */
export interface Cover {
  buckets: { sizeMs: number; bucket: Bucket }[];
  spans: { afterMs: number; untilMs: number }[];
}

/** The known-at of a bucket that does not hold what it should: it is to be made anew, and no read may use it. */
export const STALE_MS = Number.MAX_SAFE_INTEGER;

export function isUsable(
  { maxTimeMs, maxKnownAtMs }: Pick<Bucket, "maxTimeMs" | "maxKnownAtMs">,
  { atMs, knownByMs }: Sight,
): boolean {
  return maxKnownAtMs !== STALE_MS && maxTimeMs <= atMs && maxKnownAtMs <= knownByMs;
}

/** Where the bucket of a record begins. */
export function bucketStart(timeMs: number, sizeMs: number): number {
  return sizeMs === LIFETIME ? 0 : ceilToTick(timeMs, sizeMs) - sizeMs;
}

/**
 * The buckets that make up a window at T, finest first: the fine ones only up to where the next coarser ones begin.
 * Nothing bounds the coarsest ones but T.
 */
export function rangesOf(window: Window | null, ladder: readonly number[], atMs: number): BucketRange[] {
  if (window === null) return [{ sizeMs: LIFETIME, fromMs: 0, toMs: 1 }];
  const ranges: BucketRange[] = [];
  let fromMs = windowStart(atMs, window);
  ladder.forEach((sizeMs, index) => {
    const coarser = ladder[index + 1];
    // The last bucket is the one that T is in: it counts whole where nothing lies behind T.
    const end = ceilToTick(atMs, sizeMs);
    const toMs = coarser === undefined ? end : Math.min(end, ceilToTick(fromMs, coarser));
    if (toMs > fromMs) ranges.push({ sizeMs, fromMs, toMs });
    fromMs = Math.max(fromMs, toMs);
  });
  return ranges;
}

/** The first time after T at which {@link rangesOf} gives others: by then the window or a bucket has passed a tick. */
export function rangesChangeAt(window: Window | null, ladder: readonly number[], atMs: number): number {
  if (window === null) return Infinity;
  const ends = ladder.map((sizeMs) => ceilToTick(atMs, sizeMs) + 1);
  return Math.min(windowStart(atMs, window) + window.hopMs + window.lengthMs, ...ends);
}

/** Without buckets, records make up the whole window. */
export function coverWindow(
  { window, ladder }: { window: Window | null; ladder: readonly number[] },
  buckets: Buckets | undefined,
  sight: Sight,
): Cover {
  const { atMs } = sight;
  if (buckets === undefined) {
    return { buckets: [], spans: [{ afterMs: windowStart(atMs, window), untilMs: atMs }] };
  }
  if (window === null) return coverLifetime(buckets, sight);
  const cover: Cover = { buckets: [], spans: [] };
  for (const { sizeMs, fromMs, toMs } of rangesOf(window, ladder, atMs)) {
    const level = buckets.level(sizeMs);
    for (let index = firstFrom(level, fromMs); index < level.length; index++) {
      const bucket = level[index]!;
      if (bucket.startMs >= toMs) break;
      if (isUsable(bucket, sight)) cover.buckets.push({ sizeMs, bucket });
      else cover.spans.push({ afterMs: bucket.startMs, untilMs: Math.min(bucket.startMs + sizeMs, atMs) });
    }
  }
  return cover;
}

function coverLifetime(buckets: Buckets, sight: Sight): Cover {
  const [bucket] = buckets.level(LIFETIME);
  if (bucket === undefined) return { buckets: [], spans: [] };
  if (isUsable(bucket, sight)) return { buckets: [{ sizeMs: LIFETIME, bucket }], spans: [] };
  return { buckets: [], spans: [{ afterMs: -Infinity, untilMs: sight.atMs }] };
}

/** Ranges of one level that overlap become one. */
export function mergeRanges(ranges: readonly BucketRange[]): BucketRange[] {
  const merged: BucketRange[] = [];
  for (const range of ranges.toSorted((a, b) => a.sizeMs - b.sizeMs || a.fromMs - b.fromMs)) {
    const last = merged.at(-1);
    if (last?.sizeMs === range.sizeMs && range.fromMs <= last.toMs) {
      last.toMs = Math.max(last.toMs, range.toMs);
    } else merged.push({ ...range });
  }
  return merged;
}

function firstFrom(level: readonly Bucket[], fromMs: number): number {
  let low = 0;
  let high = level.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (level[middle]!.startMs < fromMs) low = middle + 1;
    else high = middle;
  }
  return low;
}
