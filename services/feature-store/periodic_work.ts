/** What one of the copies does now and then. @module */
import type { Database } from "shared/db/connection.ts";
import type { Part } from "shared/lifecycle.ts";
import type { Logger } from "shared/log.ts";
import { createPeriodicPart } from "shared/periodic_part.ts";
import { isDue } from "./repository/periodic_work.ts";

export interface PeriodicWork {
  name: string;
  /** 0: never. */
  everySeconds: number;
  /** @param signal is aborted when the service stops */
  work(signal: AbortSignal): Promise<unknown>;
}

/** How often to look whether it is time: a copy may have been away. */
const MAX_LOOK_MS = 10_000;

export function createPeriodicWork(
  { db, log }: { db: Database; log: Logger },
  { name, everySeconds, work }: PeriodicWork,
): Part {
  if (everySeconds === 0) return { name, start: () => Promise.resolve(), stop: () => Promise.resolve() };
  return createPeriodicPart({
    name,
    action: `do the ${name}`,
    everyMs: Math.min(everySeconds * 1_000, MAX_LOOK_MS),
    pausesFirst: true,
    log,
    async work(signal) {
      if (await isDue(db, name, everySeconds)) await work(signal);
    },
  });
}
