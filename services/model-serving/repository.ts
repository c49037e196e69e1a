/** All the SQL of model-serving. @module */
import type { AliasEntry } from "shared/contracts/model_training.ts";
import type { Database } from "shared/db/connection.ts";

/** Keeps that a copy admitted a version, or why it did not. */
export async function recordAdmission(
  db: Database,
  entry: AliasEntry,
  outcome: { instance: string; reason: string | null },
): Promise<void> {
  await db`
    insert into admissions (model, version, sha256, instance, admitted, reason)
    values (${entry.model}, ${entry.version}, ${entry.sha256}, ${outcome.instance}, ${
    outcome.reason === null
  },
      ${outcome.reason})`;
}
