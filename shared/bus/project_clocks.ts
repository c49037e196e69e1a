/** The clocks of the projects, as data-ingestion keeps them. @module */
import { type ProjectClock, projectClockSchema } from "../contracts/data_ingestion.ts";
import { BUCKET } from "../contracts/streams.ts";
import type { Part } from "../lifecycle.ts";
import type { Logger } from "../log.ts";
import { watchBucket } from "./bucket.ts";
import type { Bus } from "./connection.ts";

export interface ProjectClocks {
  /** The clock as it was told last; `undefined`: nothing was told of the project. */
  get(project: string): ProjectClock | undefined;
  /** Now by the project's clock, milliseconds since 1970; by the wall where the project has no other clock. */
  now(project: string): number;
  part: Part;
}

export function createProjectClocks(bus: Bus, log: Logger): ProjectClocks {
  const clocks = new Map<string, ProjectClock>();
  return {
    get: (project) => clocks.get(project),
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
