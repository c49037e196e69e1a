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

/** Forgets all but the newest admissions of each version, and those that are too old. */
export async function forgetAdmissions(
  db: Database,
  { keptOfVersion, keptDays }: { keptOfVersion: number; keptDays: number },
): Promise<void> {
  await db`
    delete from admissions where id in (
      select id from (
        select id, at, row_number() over (partition by model, version order by id desc) as place from admissions
      ) ranked
      where place > ${keptOfVersion} or at < now() - make_interval(days => ${keptDays}))`;
}
