/** Now, by the clock of a project, as far as its events are applied here. @module */
import type { ProjectClocks } from "shared/bus/project_clocks.ts";
import type { Queryable } from "shared/db/connection.ts";
import { readClock } from "./repository/applied_clocks.ts";

export interface FeatureClock {
  /**
   * Milliseconds since 1970. Where events set the clock, it is the newest that came with a message that was applied, and
   * not the one that data-ingestion tells of: its events may still be on their way here.
   */
  now(project: string): Promise<number>;
}

export function createFeatureClock(db: Queryable, clocks: Pick<ProjectClocks, "get" | "now">): FeatureClock {
  return {
    async now(project) {
      if (clocks.get(project)?.kind !== "event") return Date.now();
      const applied = await readClock(db, project);
      return applied === undefined ? clocks.now(project) : Date.parse(applied);
    },
  };
}
