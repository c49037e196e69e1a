/** The SQL of training runs as jobs. @module */
import type { Evaluation, ModelBody, Run } from "shared/contracts/model_training.ts";
import type { Database, Queryable, Transaction } from "shared/db/connection.ts";
import type { LeasedRun, QueuedRun, RunPlace } from "../domain/run.ts";

export async function insertRun(tx: Transaction, run: QueuedRun): Promise<void> {
  await tx`
    insert into runs (id, project, model, definition, spec, actor, reason)
    values (${run.id}, ${run.project}, ${run.model}, ${run.definition},
      ${JSON.stringify(run.spec)}::text::json, ${run.actor}, ${run.reason})`;
}

/** The oldest run that waits, or whose copy has not been heard of since its lease ran out. */
export async function leaseRun(
  db: Database,
  options: { leaseSeconds: number },
): Promise<LeasedRun | undefined> {
  const [row] = await db<LeasedRun[]>`
    update runs
    set status = 'running', attempts = attempts + 1, lease = gen_random_uuid(),
      leased_until = now() + make_interval(secs => ${options.leaseSeconds})
    where id = (
      select id from runs
      where status = 'queued' or (status = 'running' and leased_until < now())
      order by created_at, id limit 1 for update skip locked
    )
    returning id, project, model, definition, spec, actor, reason, lease, attempts`;
  return row && { ...row };
}

/** Keeps a run and tells how far it is. @returns false when it is no longer ours */
export async function renewRun(
  db: Database,
  run: LeasedRun,
  options: { leaseSeconds: number; place: RunPlace },
): Promise<boolean> {
  const { stage, progress } = options.place;
  const { count } = await db`
    update runs
    set stage = ${stage}, progress = ${progress},
      leased_until = now() + make_interval(secs => ${options.leaseSeconds})
    where id = ${run.id} and lease = ${run.lease}`;
  return count === 1;
}

/** Keeps what a run learns from. */
export async function setTrainingSet(db: Database, run: LeasedRun, sha256: string): Promise<void> {
  await db`update runs set training_set = ${sha256} where id = ${run.id} and lease = ${run.lease}`;
}

/** Gives a run back, to be trained from its start by whoever comes next. */
export async function releaseRun(db: Database, run: LeasedRun): Promise<void> {
  await db`
    update runs
    set status = 'queued', stage = 'queued', progress = 0, attempts = attempts - 1, lease = null,
      leased_until = null
    where id = ${run.id} and lease = ${run.lease}`;
}

/** @returns false when the run is no longer ours */
export async function failRun(db: Database, run: LeasedRun, error: string): Promise<boolean> {
  const { count } = await db`
    update runs
    set status = 'failed', error = ${error}, finished_at = now(), lease = null, leased_until = null
    where id = ${run.id} and lease = ${run.lease}`;
  return count === 1;
}

/** Keeps a run as it is until the transaction ends. @returns false when it is no longer ours */
export async function holdRun(tx: Transaction, run: LeasedRun): Promise<boolean> {
  const rows = await tx`select from runs where id = ${run.id} and lease = ${run.lease} for update`;
  return rows.length === 1;
}

/** Ends a run that is held. */
export async function completeRun(
  tx: Transaction,
  run: LeasedRun,
  outcome: { version: number; evaluation: Evaluation },
): Promise<void> {
  await tx`
    update runs
    set status = 'done', stage = 'done', progress = 1, version = ${outcome.version},
      evaluation = ${JSON.stringify(outcome.evaluation)}::text::json, finished_at = now(), lease = null,
      leased_until = null
    where id = ${run.id}`;
}

export async function findRun(db: Queryable, id: string): Promise<Run | undefined> {
  const [row] = await db<RunRow[]>`select ${db.unsafe(RUN_COLUMNS)} from runs where id = ${id}`;
  return row && toRun(row);
}

/** Newest first. */
export async function listRuns(
  db: Database,
  options: { model?: string | undefined; limit: number },
): Promise<Run[]> {
  const rows = await db<RunRow[]>`
    select ${db.unsafe(RUN_COLUMNS)} from runs
    where ${options.model === undefined ? db`true` : db`model = ${options.model}`}
    order by created_at desc, id desc limit ${options.limit}`;
  return rows.map(toRun);
}

export interface RunCounts {
  queued: number;
  running: number;
  /** Done or failed. */
  handled: number;
}

export async function countRuns(db: Database): Promise<RunCounts> {
  const [row] = await db<RunCounts[]>`
    select count(*) filter (where status = 'queued') as queued,
      count(*) filter (where status = 'running') as running,
      count(*) filter (where status in ('done', 'failed')) as handled
    from runs`;
  return { ...row! };
}

const RUN_COLUMNS = `id, project, model, status, stage, progress, error, spec, training_set as "trainingSet",
  evaluation, version, actor, reason, created_at as "createdAt", finished_at as "finishedAt"`;

type RunRow = Omit<Run, "algorithm" | "parameters" | "seed"> & { spec: ModelBody };

function toRun({ spec: { algorithm, parameters, seed }, ...row }: RunRow): Run {
  return { ...row, algorithm, parameters, seed };
}
