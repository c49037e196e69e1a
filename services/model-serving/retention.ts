/** Forgets admissions that nobody will ask for. @module */
import type { Database } from "shared/db/connection.ts";
import type { Part } from "shared/lifecycle.ts";
import type { Logger } from "shared/log.ts";
import { createPeriodicPart } from "shared/periodic_part.ts";
import { forgetAdmissions } from "./repository.ts";

/** Of each version as many attempts are kept, whichever copies made them: one that fails is tried each minute. */
const KEPT_OF_VERSION = 20;
/** And none for longer. */
const KEPT_DAYS = 90;
const HOUR_MS = 3_600_000;

/** Looks each hour. */
export function createRetention({ db, log }: { db: Database; log: Logger }): Part {
  return createPeriodicPart({
    name: "retention",
    action: "forget old admissions",
    everyMs: HOUR_MS,
    log,
    work: () => forgetAdmissions(db, { keptOfVersion: KEPT_OF_VERSION, keptDays: KEPT_DAYS }),
  });
}
