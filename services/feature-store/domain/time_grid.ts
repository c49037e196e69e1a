/**
 * Where windows begin and ticks stand: multiples of a step since a Monday (shared/contracts/time.ts), so that weekly
 * steps begin on Mondays and steps that divide a day begin at midnight UTC.
 *
 * @module
 */
import { floorToTick } from "shared/contracts/time.ts";

/** The first tick at or after a time. */
export function ceilToTick(timeMs: number, stepMs: number): number {
  const before = floorToTick(timeMs, stepMs);
  return before === timeMs ? before : before + stepMs;
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
  return window === null ? -Infinity : floorToTick(atMs - window.lengthMs, window.hopMs);
}
