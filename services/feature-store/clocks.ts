/** The clocks of the projects, as data-ingestion keeps them. @module */
import { watchBucket } from "shared/bus/bucket.ts";
import type { Bus } from "shared/bus/connection.ts";
import { type ProjectClock, projectClockSchema } from "shared/contracts/data_ingestion.ts";
import { BUCKET } from "shared/contracts/streams.ts";
import type { Part } from "shared/lifecycle.ts";
import type { Logger } from "shared/log.ts";

export interface Clocks {
  /** Now by the project's clock, milliseconds since 1970; by the wall where the project has no other clock. */
  now(project: string): number;
  part: Part;
}

export function createClocks(bus: Bus, log: Logger): Clocks {
  const clocks = new Map<string, ProjectClock>();
  return {
    now(project) {
      const clock = clocks.get(project);
      return clock?.kind === "event" ? Date.parse(clock.now) : Date.now();
    },
    part: watchBucket(bus, {
      bucket: BUCKET.clocks,
      filter: ">",
      schema: projectClockSchema,
      log,
      onEntry(key, clock) {
        if (clock === undefined) clocks.delete(key);
        else clocks.set(key, clock);
      },
    }),
  };
}
