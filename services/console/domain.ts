/** What the copies of a service say, put together. Pure. @module */
import type { StageStats } from "shared/contracts/console.ts";

/** The stats of one copy of a service, as it answered on the bus. */
export interface CopyStats {
  service: string;
  /** The copy's id on the bus. */
  id: string;
  /** Requests answered over the bus. */
  requests: number;
  data: StageStats;
}

export interface StageTotals {
  copies: number;
  lag: number | null;
  deadLetters: number | null;
  handled: number | null;
}

/**
 * The totals of a service. Lag is one number that all copies see (they share durables), so the largest counts;
 * dead letters and handled events are each copy's own, so they add up. A service that does not say how much it
 * handled has handled its requests.
 */
export function totalsOf(copies: readonly CopyStats[]): StageTotals {
  const known = (pick: (copy: CopyStats) => number | undefined) =>
    copies.map(pick).filter((value) => value !== undefined);
  const sum = (values: readonly number[]) => values.length ? values.reduce((a, b) => a + b, 0) : null;
  const lags = known(({ data }) => data.lag);
  return {
    copies: copies.length,
    lag: lags.length ? Math.max(...lags) : null,
    deadLetters: sum(known(({ data }) => data.deadLetters)),
    handled: sum(known(({ data, requests }) => data.handled ?? requests)),
  };
}

export interface Sample {
  atMs: number;
  /** Handled since its start, by copy. */
  handled: ReadonlyMap<string, number>;
}

/** What each copy handled, to compare with a later sample. */
export function sampleOf(copies: readonly CopyStats[], atMs: number): Sample {
  return { atMs, handled: new Map(copies.map(({ id, data, requests }) => [id, data.handled ?? requests])) };
}

/**
 * Events a second between two samples. A copy that is in only one of them, because it started or ended between,
 * has no rate yet: its counts since its own start would look like a burst.
 */
export function rateBetween(before: Sample, after: Sample): number | null {
  const seconds = (after.atMs - before.atMs) / 1000;
  if (seconds <= 0) return null;
  let difference = 0;
  for (const [id, handled] of after.handled) {
    const earlier = before.handled.get(id);
    if (earlier !== undefined) difference += handled - earlier;
  }
  return difference / seconds;
}
