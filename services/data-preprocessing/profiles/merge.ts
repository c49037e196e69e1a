/** Merges the parts that batches appended into the windows they belong to. @module */
import type { Instant } from "shared/contracts/time.ts";
import { type Database, type Transaction, transaction } from "shared/db/connection.ts";
import { createRecordStatistics, decodeRecordStatistics } from "shared/statistics/record_statistics.ts";
import {
  beginSeries,
  listClockMarks,
  lockProfiles,
  mergeClockMarks,
  type Part,
  readWindows,
  saveSources,
  saveWindows,
  type SourceRow,
  takeParts,
  type WindowKey,
} from "../repository/profiles.ts";

/** In one transaction; each may hold statistics of some hundred kilobytes. */
const PARTS_AT_A_TIME = 100;

/**
 * Merges all parts, some at a time, and then lets the clocks move on that came with them.
 *
 * @returns whether it is done; if not, another copy is at work
 */
export async function mergeParts(db: Database, signal: AbortSignal): Promise<boolean> {
  // Read before the parts: what is told by these clocks is then among the parts that are merged.
  const marks = await listClockMarks(db);
  for (;;) {
    if (signal.aborted) return false;
    const merged = await transaction(db, async (tx) => {
      if (!await lockProfiles(tx)) return undefined;
      const parts = await takeParts(tx, PARTS_AT_A_TIME);
      if (parts.length > 0) await mergeIntoWindows(tx, parts);
      if (parts.length < PARTS_AT_A_TIME && marks.length > 0) await mergeClockMarks(tx, marks);
      return parts.length;
    });
    if (merged === undefined) return false;
    if (merged < PARTS_AT_A_TIME) return true;
  }
}

async function mergeIntoWindows(tx: Transaction, parts: readonly Part[]): Promise<void> {
  const byWindow = Map.groupBy(parts, nameOf);
  const keys = [...byWindow.values()].map(([first]): WindowKey => ({
    source: first!.source,
    windowMs: first!.windowMs,
    startsAt: first!.startsAt,
  }));
  const known = new Map((await readWindows(tx, keys)).map((window) => [nameOf(window), window]));
  await saveWindows(
    tx,
    [...byWindow].map(([name, ofWindow], index) => {
      const before = known.get(name);
      return {
        ...keys[index]!,
        records: ofWindow.reduce((sum, { records }) => sum + records, before?.records ?? 0),
        statistics: mergeStatistics([
          before?.statistics ?? null,
          ...ofWindow.map(({ statistics }) => statistics),
        ]),
      };
    }),
  );
  await beginSeries(tx, keys);
  await saveSources(tx, [...Map.groupBy(parts, ({ source }) => source).values()].map(toSource));
}

const nameOf = ({ source, windowMs, startsAt }: WindowKey) => `${source} ${windowMs} ${startsAt}`;

function mergeStatistics(encoded: readonly (Uint8Array | null)[]): Uint8Array | null {
  const parts = encoded.filter((bytes) => bytes !== null);
  if (parts.length <= 1) return parts[0] ?? null;
  const whole = createRecordStatistics();
  for (const bytes of parts) whole.merge(decodeRecordStatistics(bytes));
  return whole.encode();
}

function toSource(parts: readonly Part[]): SourceRow {
  const newestAt = parts.map(({ newestAt }) => newestAt).reduce((a, b): Instant => a > b ? a : b);
  return { source: parts[0]!.source, project: parts.at(-1)!.project, newestAt };
}
