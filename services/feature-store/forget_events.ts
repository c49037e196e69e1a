/** Bounding what is kept of events that are of no entity. @module */
import type { Database } from "shared/db/connection.ts";
import { removeUnplaced } from "./repository/records.ts";
import { readCounts } from "./repository/source_counts.ts";

/** In one statement. */
const ROWS_AT_ONCE = 5_000;

/**
 * An event that no view describes an entity of is kept for views to come, for some days: counted back from the newest such
 * event of its source, so that history that is replayed keeps as much. What is older is replayed by data-ingestion.
 */
export async function forgetEvents(
  db: Database,
  { keepDays, signal }: { keepDays: number; signal?: AbortSignal },
): Promise<void> {
  for (const { source } of await readCounts(db)) {
    let removed = ROWS_AT_ONCE;
    while (!signal?.aborted && removed === ROWS_AT_ONCE) {
      removed = await removeUnplaced(db, { source, keepDays, limit: ROWS_AT_ONCE });
    }
  }
}
