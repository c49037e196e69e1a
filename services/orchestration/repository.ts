/** All the SQL of orchestration. @module */
import type { PipelineRun } from "shared/contracts/orchestration.ts";
import type { Instant } from "shared/contracts/time.ts";
import type { Database, Queryable, Transaction } from "shared/db/connection.ts";
import type { Step, Trigger } from "./domain.ts";

/** Triggers of one pipeline follow each other, so that the cooldown counts every run. */
export async function lockPipeline(tx: Transaction, pipeline: string): Promise<void> {
  await tx`select pg_advisory_xact_lock(hashtextextended(${`pipeline/${pipeline}`}, 0))`;
}

export async function findRunByTrigger(
  tx: Transaction,
  pipeline: string,
  trigger: Trigger,
): Promise<PipelineRun | undefined> {
  const [row] = await tx<RunRow[]>`
    select ${tx.unsafe(COLUMNS)} from pipeline_runs
    where pipeline = ${pipeline} and trigger_kind = ${trigger.kind} and trigger_reference = ${trigger.reference}`;
  return row && toRun(row);
}

export async function lastStart(tx: Transaction, pipeline: string): Promise<Instant | undefined> {
  const [row] = await tx<{ at: Instant | null }[]>`
    select max(started_at) as at from pipeline_runs where pipeline = ${pipeline} and status <> 'skipped'`;
  return row?.at ?? undefined;
}

export async function insertRun(tx: Transaction, run: PipelineRun): Promise<void> {
  await tx`
    insert into pipeline_runs (id, pipeline, project, model, trigger_kind, trigger_reference, status, error, steps,
      started_at, finished_at)
    values (${run.id}, ${run.pipeline}, ${run.project}, ${run.model}, ${run.trigger.kind}, ${run.trigger.reference},
      ${run.status}, ${run.error}, ${
    JSON.stringify(run.steps)
  }::text::jsonb, ${run.startedAt}, ${run.finishedAt})`;
}

export async function saveSteps(db: Queryable, id: string, steps: readonly Step[]): Promise<void> {
  await db`update pipeline_runs set steps = ${JSON.stringify(steps)}::text::jsonb where id = ${id}`;
}

/** Ends a run; one that has ended stays as it is. */
export async function endRun(
  db: Queryable,
  id: string,
  end: { status: "promoted" | "kept" | "failed"; error: string | null; steps: readonly Step[]; at: Instant },
): Promise<void> {
  await db`
    update pipeline_runs set status = ${end.status}, error = ${end.error}, finished_at = ${end.at},
      steps = ${JSON.stringify(end.steps)}::text::jsonb
    where id = ${id} and status = 'running'`;
}

export async function findRun(db: Queryable, id: string): Promise<PipelineRun | undefined> {
  const [row] = await db<RunRow[]>`select ${db.unsafe(COLUMNS)} from pipeline_runs where id = ${id}`;
  return row && toRun(row);
}

/** Runs that have not ended, oldest first. */
export async function listRunning(db: Database): Promise<string[]> {
  const rows = await db<
    { id: string }[]
  >`select id from pipeline_runs where status = 'running' order by started_at`;
  return rows.map(({ id }) => id);
}

/** Newest first. */
export async function listRuns(
  db: Database,
  options: { pipeline?: string | undefined; limit: number },
): Promise<PipelineRun[]> {
  const rows = await db<RunRow[]>`
    select ${db.unsafe(COLUMNS)} from pipeline_runs
    where ${options.pipeline ? db`pipeline = ${options.pipeline}` : db`true`}
    order by started_at desc, id desc limit ${options.limit}`;
  return rows.map(toRun);
}

const COLUMNS =
  "id, pipeline, project, model, trigger_kind, trigger_reference, status, error, steps, started_at, finished_at";

interface RunRow
  extends Pick<PipelineRun, "id" | "pipeline" | "project" | "model" | "status" | "error" | "steps"> {
  trigger_kind: Trigger["kind"];
  trigger_reference: string;
  started_at: Instant;
  finished_at: Instant | null;
}

function toRun({ trigger_kind, trigger_reference, started_at, finished_at, ...row }: RunRow): PipelineRun {
  return {
    ...row,
    trigger: { kind: trigger_kind, reference: trigger_reference },
    startedAt: started_at,
    finishedAt: finished_at,
  };
}
