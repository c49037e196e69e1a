import type { History } from "./history.ts";

/** Which records count: event time in (after, until], known by `knownBy`, passing a filter (-1: every record). */
export interface Selection {
  after: number;
  until: number;
  knownBy: number;
  filter: number;
}

/**
 * Positions of the records that count, in order of (event time, id). An event that is there in several versions
 * counts once, as the newest version known, and not at all when that one retracts it.
 */
export function selectRecords(history: History, selection: Selection): Int32Array {
  const { after, until, knownBy, filter } = selection;
  const lane = history.lane(filter);
  const first = countUntil(lane.times, after);
  const end = Math.max(first, countUntil(lane.times, until));
  const inside = lane.positions.subarray(first, end);
  const allKnown = end === 0 || lane.allKnownAt[end - 1]! <= knownBy;
  if (allKnown && history.revises === undefined) return inside;
  return inside.filter((position) =>
    history.knownAt[position]! <= knownBy && !isReplaced(history, position, knownBy)
  );
}

/** Event time of the newest record with event time <= until that was known by then; undefined without one. */
export function newestTime(history: History, until: number, knownBy: number): number | undefined {
  const { times, knownAt, retracted } = history;
  for (let index = countUntil(times, until) - 1; index >= 0; index--) {
    if (knownAt[index]! > knownBy || retracted?.[index] === 1) continue;
    if (!isReplaced(history, index, knownBy)) return times[index]!;
  }
  const { newestBefore } = history;
  return newestBefore !== undefined && newestBefore <= until ? newestBefore : undefined;
}

function isReplaced(history: History, index: number, knownBy: number): boolean {
  for (let later = index + 1; history.revises?.[later] === 1; later++) {
    if (history.knownAt[later]! <= knownBy) return true;
  }
  return false;
}

/** How many of the ascending times lie at or before a time. */
function countUntil(times: Float64Array, time: number): number {
  let low = 0;
  let high = times.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (times[middle]! <= time) low = middle + 1;
    else high = middle;
  }
  return low;
}
