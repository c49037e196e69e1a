/**
 * The grid that windows and ticks stand on: multiples of a step since a Monday, so that weekly steps begin on
 * Mondays and steps that divide a day begin at midnight UTC.
 *
 * @module
 */

/** 1970-01-05T00:00Z, a Monday. */
export const GRID_ORIGIN_MS = Date.UTC(1970, 0, 5);

/** The last grid point at or before a time. */
export function floorToGrid(timeMs: number, stepMs: number): number {
  return GRID_ORIGIN_MS + Math.floor((timeMs - GRID_ORIGIN_MS) / stepMs) * stepMs;
}

/** The first grid point at or after a time. */
export function ceilToGrid(timeMs: number, stepMs: number): number {
  return GRID_ORIGIN_MS + Math.ceil((timeMs - GRID_ORIGIN_MS) / stepMs) * stepMs;
}

const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/** Steps that people say: each divides a day, or is whole days that divide a week. */
const CLEAN_UNITS = [
  ...[1, 5, 10, 15, 30].map((n) => n * SECOND),
  ...[1, 2, 5, 10, 15, 30].map((n) => n * MINUTE),
  ...[1, 2, 3, 4, 6, 8, 12].map((n) => n * HOUR),
  DAY,
  7 * DAY,
];

/** The hop of a window for which none is declared: the largest clean unit within window / 60, at least 1 s. */
export function defaultHopMs(windowMs: number): number {
  return CLEAN_UNITS.findLast((unit) => unit <= windowMs / 60) ?? SECOND;
}

/** Where a window that ends at T begins: records after this time, up to T, are in it. */
export function windowStart(atMs: number, window: { lengthMs: number; hopMs: number } | null): number {
  return window === null ? -Infinity : floorToGrid(atMs - window.lengthMs, window.hopMs);
}
