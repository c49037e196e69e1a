/** The SQL of forgetting what is old of runs, a bite at a time. @module */
import type { Database, Transaction } from "shared/db/connection.ts";

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

/** A run that ended so many days ago or more, and registered no version. */
export async function findOldRun(db: Database, days: number): Promise<string | undefined> {
  const [row] = await db<{ id: string }[]>`
    select id from runs where finished_at < now() - make_interval(days => ${days}) and version is null
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

/** Files that came with a run, and that no other run, version or training set has. */
export async function listOwnFiles(db: Database, run: string): Promise<string[]> {
  const rows = await db<{ sha256: string }[]>`
    select distinct sha256 from run_artifacts a
    where a.run = ${run} and a.owned
      and not exists (select from run_artifacts where sha256 = a.sha256 and run <> a.run)
      and not exists (select from versions where sha256 = a.sha256)
      and not exists (select from runs where training_set = a.sha256)`;
  return rows.map(({ sha256 }) => sha256);
}

/** Removes a run whose long tables are empty. */
export async function removeRun(tx: Transaction, run: string): Promise<void> {
  await tx`update runs set retry_of = null where retry_of = ${run}`;
  const files = await tx<{ sha256: string }[]>`delete from run_artifacts where run = ${run} returning sha256`;
  await tx`
    delete from model_files f
    where sha256 = any(${files.map(({ sha256 }) => sha256)})
      and not exists (select from versions where sha256 = f.sha256)
      and not exists (select from run_artifacts where sha256 = f.sha256)`;
  await tx`delete from run_parameters where run = ${run}`;
  await tx`delete from run_results where run = ${run}`;
  await tx`delete from run_tags where run = ${run}`;
  await tx`delete from runs where id = ${run}`;
}
