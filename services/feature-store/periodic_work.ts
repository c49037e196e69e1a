/** What one of the copies does now and then. @module */
import type { Database } from "shared/db/connection.ts";
import { delay } from "shared/delay.ts";
import { messageOf } from "shared/errors.ts";
import type { Part } from "shared/lifecycle.ts";
import type { Logger } from "shared/log.ts";
import { isDue } from "./repository/insight.ts";

export interface PeriodicWork {
  name: string;
  /** 0: never. */
  everySeconds: number;
  work(): Promise<unknown>;
}

/** How often to look whether it is time: a copy may have been away. */
const MAX_LOOK_MS = 10_000;

export function createPeriodicWork(
  { db, log }: { db: Database; log: Logger },
  { name, everySeconds, work }: PeriodicWork,
): Part {
  const stopped = new AbortController();
  let running: Promise<void> = Promise.resolve();
  return {
    name,
    start() {
      if (everySeconds > 0) running = run();
      return Promise.resolve();
    },
    async stop() {
      stopped.abort();
      await running;
    },
  };

  async function run(): Promise<void> {
    for (;;) {
      await delay(Math.min(everySeconds * 1_000, MAX_LOOK_MS), stopped.signal);
      if (stopped.signal.aborted) return;
      try {
        if (await isDue(db, name, everySeconds)) await work();
      } catch (error) {
        log.warn(
          { reason: messageOf(error) },
          `Cannot finish the ${name}: it is tried again at its next time`,
        );
      }
    }
  }
}
