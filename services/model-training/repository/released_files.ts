/** The SQL of files that an artifact named and names no more. @module */
import type { Database, Queryable, Transaction } from "shared/db/connection.ts";

/** Notes the files of artifacts that are about to go. @param which a condition on `run_artifacts` */
export async function releaseFiles(tx: Transaction, which: ReturnType<Transaction>): Promise<void> {
  await tx`
    insert into released_files (sha256, owned)
    select sha256, bool_or(owned) from run_artifacts where ${which} group by sha256
    on conflict (sha256) do update
    set owned = released_files.owned or excluded.owned, since = excluded.since`;
}

/** Notes a file that the service has put into the file store, and that nothing names yet. */
export async function releaseFile(db: Queryable, sha256: string): Promise<void> {
  await db`
    insert into released_files (sha256, owned) values (${sha256}, true)
    on conflict (sha256) do update set owned = true, since = excluded.since`;
}

/** Names a released file again. @returns whether it is the service's to remove */
export async function takeBack(tx: Transaction, sha256: string): Promise<boolean> {
  const [row] = await tx<{ owned: boolean }[]>`
    delete from released_files where sha256 = ${sha256} returning owned`;
  return row?.owned ?? false;
}

export interface ReleasedFile {
  sha256: string;
  owned: boolean;
  /** Whether an artifact, a version or a run's training set is of it. */
  named: boolean;
}

/** One that was released so many seconds ago or more. */
export async function findReleased(db: Database, graceSeconds: number): Promise<ReleasedFile | undefined> {
  const [row] = await db<ReleasedFile[]>`
    select sha256, owned, exists (select from run_artifacts where sha256 = f.sha256)
      or exists (select from versions where sha256 = f.sha256)
      or exists (select from runs where training_set = f.sha256) as named
    from released_files f
    where since <= clock_timestamp() - make_interval(secs => ${graceSeconds})
    order by since limit 1`;
  return row && { ...row };
}

/** Ends the release of a file: what still names it owns it from now on, and else nothing of it is left here. */
export async function settleReleased(tx: Transaction, { sha256, owned }: ReleasedFile): Promise<void> {
  await tx`delete from released_files where sha256 = ${sha256}`;
  if (owned) await tx`update run_artifacts set owned = true where sha256 = ${sha256}`;
  await tx`
    delete from model_files f
    where sha256 = ${sha256}
      and not exists (select from versions where sha256 = f.sha256)
      and not exists (select from run_artifacts where sha256 = f.sha256)`;
}
