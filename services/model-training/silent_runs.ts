/** The use case of ending runs of people's own code that nobody hears of any more: their process died, most likely. @module */
import type { Bus } from "shared/bus/connection.ts";
import { type Database, transaction } from "shared/db/connection.ts";
import type { Part } from "shared/lifecycle.ts";
import type { Logger } from "shared/log.ts";
import { createPeriodicPart } from "shared/periodic_part.ts";
import { appendEvent } from "./repository/run_records.ts";
import { endLoggedRun, holdSilentRun } from "./repository/runs.ts";
import { publishRunEvent } from "./run_events.ts";

export interface SilentRunsDeps {
  db: Database;
  bus: Bus;
  log: Logger;
}

const EVERY_MS = 600_000;

export function createSilentRuns(deps: SilentRunsDeps, { hours }: { hours: number }): Part {
  return createPeriodicPart({
    name: "silent runs",
    action: "end silent runs",
    everyMs: EVERY_MS,
    log: deps.log,
    work: (signal) => endSilentRuns(deps, { hours, signal }),
  });
}

/** Fails the logged runs that have said nothing for so many hours. */
export async function endSilentRuns(
  deps: SilentRunsDeps,
  { hours, signal }: { hours: number; signal: AbortSignal },
): Promise<void> {
  while (!signal.aborted) {
    const event = await transaction(deps.db, async (tx) => {
      const run = await holdSilentRun(tx, hours);
      if (run === undefined) return undefined;
      await endLoggedRun(tx, run, `Nothing was logged for ${hours} h: whoever ran it is taken for dead`);
      return await appendEvent(tx, run);
    });
    if (event === undefined) return;
    publishRunEvent(deps, event);
  }
}
