/** The SQL of forgetting what is old of runs, a bite at a time. @module */
import type { Database, Transaction } from "shared/db/connection.ts";
import { releaseFiles } from "./released_files.ts";

/** Rows that a statement removes at most. */
export const BITE_ROWS = 2_000;

/** A run that ended so many days ago or more, and whose progress is still kept. */
export async function findOldProgress(db: Database, days: number): Promise<string | undefined> {
  const [row] = await db<{ id: string }[]>`
    select id from runs
    where finished_at < now() - make_interval(days => ${days}) and not progress_forgotten
    order by finished_at limit 1`;
  return row?.id;
}

/** Removes events of a run, all but the last one. @returns how many, fewer than a bite when that was all */
export async function removeProgress(db: Database, run: string): Promise<number> {
  const { count } = await db`
    delete from run_events where ctid = any(array(
      select e.ctid from run_events e join runs r on r.id = e.run
      where e.run = ${run} and e.sequence < r.events limit ${BITE_ROWS}))`;
  return count;
}

export async function setProgressForgotten(db: Database, run: string): Promise<void> {
  await db`update runs set progress_forgotten = true where id = ${run}`;
}

/** A run that ended so many days ago or more, and that no version came of. */
export async function findOldRun(db: Database, days: number): Promise<string | undefined> {
  const [row] = await db<{ id: string }[]>`
    select id from runs r
    where finished_at < now() - make_interval(days => ${days}) and version is null
      and not exists (select from runs where logged_run = r.id)
    order by finished_at limit 1`;
  return row?.id;
}

/** Tables with many rows a run. */
const LONG_TABLES = ["run_events", "run_logs", "run_metrics"] as const;

/** Removes rows of a run's long tables. @returns how many, 0 when none is left */
export async function removeRecords(db: Database, run: string): Promise<number> {
  for (const table of LONG_TABLES) {
    const { count } = await db`
      delete from ${db(table)} where ctid = any(array(
        select ctid from ${db(table)} where run = ${run} limit ${BITE_ROWS}))`;
    if (count > 0) return count;
  }
  return 0;
}

/** Removes a run whose long tables are empty; its files are released. */
export async function removeRun(tx: Transaction, run: string): Promise<void> {
  await tx`update runs set retry_of = null where retry_of = ${run}`;
  await releaseFiles(tx, tx`run = ${run}`);
  await tx`delete from run_artifacts where run = ${run}`;
  await tx`delete from run_parameters where run = ${run}`;
  await tx`delete from run_results where run = ${run}`;
  await tx`delete from run_tags where run = ${run}`;
  await tx`delete from runs where id = ${run}`;
}
