/** The use case of forgetting: old progress of runs, and old runs that no version came of. @module */
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
  listOwnFiles,
  removeProgress,
  removeRecords,
  removeRun,
  setProgressForgotten,
} from "./repository/retention.ts";

export interface RetentionDeps {
  db: Database;
  bus: Pick<Bus, "files">;
}

export interface RetentionOptions {
  /** The events of a run that has ended are kept for so long; the last one stays. */
  progressDays: number;
  /** A run that registered no version is kept for so long after its end. */
  runDays: number;
}

export interface Forgotten {
  /** Runs whose progress is gone. */
  progress: number;
  runs: number;
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
      if (forgotten.progress + forgotten.runs > 0) log.info(forgotten, "Forgot old runs and progress");
    },
  });
}

/** Forgets all that is old by now, in small bites; ends early when the signal is aborted. */
export async function forgetOldRuns(
  deps: RetentionDeps,
  { progressDays, runDays }: RetentionOptions,
  signal: AbortSignal,
): Promise<Forgotten> {
  const { db } = deps;
  const forgotten: Forgotten = { progress: 0, runs: 0 };
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
  return forgotten;
}

/** @returns whether it came to its end */
async function forgetRun({ db, bus }: RetentionDeps, run: string, signal: AbortSignal): Promise<boolean> {
  while (!signal.aborted && await removeRecords(db, run) > 0) await delay(PAUSE_MS, signal);
  if (signal.aborted) return false;
  // Before the rows that name them: what breaks off in between is done again.
  for (const file of await listOwnFiles(db, run)) await bus.files.remove(file);
  await transaction(db, (tx) => removeRun(tx, run));
  return true;
}
