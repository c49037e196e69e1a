/** Bounding what is remembered of published labels. @module */
import type { Database } from "shared/db/connection.ts";
import { moveForgottenUntil, removeForgotten } from "./repository/labels.ts";

/** In one statement. */
const ROWS_AT_ONCE = 5_000;

/**
 * A published label is remembered so that a record which comes late can correct it, for some days after its T: counted
 * to the last T that is published, so that history that is replayed keeps as much. What is forgotten stays as it was
 * published: it is neither corrected nor published again, by another definition neither.
 */
export async function forgetLabels(
  db: Database,
  { keepDays, signal }: { keepDays: number; signal?: AbortSignal },
): Promise<void> {
  await moveForgottenUntil(db, keepDays);
  while (!signal?.aborted && await removeForgotten(db, ROWS_AT_ONCE) === ROWS_AT_ONCE);
}
