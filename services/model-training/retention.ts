/**
 * The use case of forgetting: old progress of runs, old runs that no version came of, and files that nothing names.
 *
 * @module
 */
import type { Bus } from "shared/bus/connection.ts";
import { type Database, transaction } from "shared/db/connection.ts";
import { delay } from "shared/delay.ts";
import type { Part } from "shared/lifecycle.ts";
import type { Logger } from "shared/log.ts";
import { createPeriodicPart } from "shared/periodic_part.ts";
import {
  BITE_ROWS,
  findOldProgress,
  findOldRun,
  removeProgress,
  removeRecords,
  removeRun,
  setProgressForgotten,
} from "./repository/retention.ts";
import { findReleased, type ReleasedFile, settleReleased } from "./repository/released_files.ts";

export interface RetentionDeps {
  db: Database;
  bus: Pick<Bus, "files">;
}

export interface RetentionOptions {
  /** The events of a run that has ended are kept for so long; the last one stays. */
  progressDays: number;
  /** A run that registered no version is kept for so long after its end. */
  runDays: number;
  /** A file that nothing names any more is kept for so long: who brings it once more finds it there. Default: an hour. */
  graceSeconds?: number;
}

export interface Forgotten {
  /** Runs whose progress is gone. */
  progress: number;
  runs: number;
  /** Removed from the file store. */
  files: number;
}

const HOUR_MS = 3_600_000;
/** Between two bites, so that calls hardly notice. */
const PAUSE_MS = 20;

/** Looks each hour. Copies that look at once do the same things, of which each is done once. */
export function createRetention(deps: RetentionDeps & { log: Logger }, options: RetentionOptions): Part {
  const { log } = deps;
  return createPeriodicPart({
    name: "retention",
    action: "forget old runs",
    everyMs: HOUR_MS,
    log,
    async work(signal) {
      const forgotten = await forgetOldRuns(deps, options, signal);
      const { progress, runs, files } = forgotten;
      if (progress + runs + files > 0) log.info(forgotten, "Forgot old runs, progress and files");
    },
  });
}

/** Forgets all that is old by now, in small bites; ends early when the signal is aborted. */
export async function forgetOldRuns(
  deps: RetentionDeps,
  { progressDays, runDays, graceSeconds = 3_600 }: RetentionOptions,
  signal: AbortSignal,
): Promise<Forgotten> {
  const { db } = deps;
  const forgotten: Forgotten = { progress: 0, runs: 0, files: 0 };
  while (!signal.aborted) {
    const run = await findOldRun(db, runDays);
    if (run === undefined) break;
    if (await forgetRun(deps, run, signal)) forgotten.runs++;
  }
  while (!signal.aborted) {
    const run = await findOldProgress(db, progressDays);
    if (run === undefined) break;
    while (await removeProgress(db, run) === BITE_ROWS) await delay(PAUSE_MS, signal);
    await setProgressForgotten(db, run);
    forgotten.progress++;
    await delay(PAUSE_MS, signal);
  }
  while (!signal.aborted) {
    const file = await findReleased(db, graceSeconds);
    if (file === undefined) break;
    if (await removeFile(deps, file)) forgotten.files++;
  }
  return forgotten;
}

/** @returns whether it came to its end */
async function forgetRun({ db }: RetentionDeps, run: string, signal: AbortSignal): Promise<boolean> {
  while (!signal.aborted && await removeRecords(db, run) > 0) await delay(PAUSE_MS, signal);
  if (signal.aborted) return false;
  await transaction(db, (tx) => removeRun(tx, run));
  return true;
}

/** @returns whether the file was removed */
async function removeFile({ db, bus }: RetentionDeps, file: ReleasedFile): Promise<boolean> {
  const removes = file.owned && !file.named;
  // Before the row that tells of it: what breaks off in between is done again.
  if (removes) await bus.files.remove(file.sha256);
  await transaction(db, (tx) => settleReleased(tx, file));
  return removes;
}
