/** What an arm takes at most: calls at the same time, and rows a second. Pure: the clock is handed in. @module */
import type { Limits } from "shared/contracts/model_serving.ts";

export interface ArmLimits {
  /** Calls that are being answered. */
  readonly inFlight: number;
  /** Takes a place for a call of so many rows; `false` when there is none. What was taken is released once. */
  take(rows: number, now: () => number): boolean;
  release(): void;
}

/**
 * Rows are limited by a token bucket that holds a second's worth. A call of more rows than that is taken when the bucket
 * is full, and what it takes beyond is paid back before the next one.
 */
export function createArmLimits({ concurrency = Infinity, rowsPerSecond }: Partial<Limits> = {}): ArmLimits {
  let inFlight = 0;
  let tokens = rowsPerSecond ?? 0;
  let filledAt = -Infinity;

  function takeRows(rows: number, clock: () => number): boolean {
    if (rowsPerSecond === undefined) return true;
    const now = clock();
    if (filledAt !== -Infinity) {
      tokens = Math.min(rowsPerSecond, tokens + (now - filledAt) / 1_000 * rowsPerSecond);
    }
    filledAt = now;
    if (tokens < Math.min(rows, rowsPerSecond)) return false;
    tokens -= rows;
    return true;
  }

  return {
    get inFlight() {
      return inFlight;
    },
    take(rows, now) {
      if (inFlight >= concurrency || !takeRows(rows, now)) return false;
      inFlight++;
      return true;
    },
    release() {
      inFlight--;
    },
  };
}
