/** The SQL of training sets as jobs. @module */
import type {
  ColumnStatistics,
  GivenSpine,
  Label,
  Spine,
  TrainingSetStatus,
} from "shared/contracts/feature_store.ts";
import type { Instant } from "shared/contracts/time.ts";
import type { Database, Queryable, Transaction } from "shared/db/connection.ts";

/** What is built, with everything that could change afterwards decided when it was asked. */
export interface TrainingSetRequest {
  project: string;
  entity: string;
  featureService: { name: string; version: number };
  spine: Spine | GivenSpine;
  label: Label | { column: string } | null;
  immature: "keep" | "drop";
  asKnown: "then" | "now";
  from: Instant | null;
  to: Instant | null;
  /** The project's clock when it was asked: what lies after it is not known. */
  clock: Instant;
}

/** A job that is ours until the lease runs out. */
export interface LeasedTrainingSet {
  id: string;
  lease: string;
  attempts: number;
  request: TrainingSetRequest;
}

export type TrainingSetResult = NonNullable<TrainingSetStatus["result"]>;

export async function queueTrainingSet(
  tx: Transaction,
  job: { id: string; request: TrainingSetRequest; actor: string },
): Promise<void> {
  await tx`
    insert into training_sets (id, request, actor, status)
    values (${job.id}, ${JSON.stringify(job.request)}::text::json, ${job.actor}, 'queued')`;
}

export async function readTrainingSet(db: Queryable, id: string): Promise<TrainingSetStatus | undefined> {
  const [row] = await db<TrainingSetStatus[]>`
    select ${statusColumns(db)} from training_sets where id = ${id}`;
  return row && { ...row };
}

export interface ListQuery {
  project?: string | undefined;
  status?: TrainingSetStatus["status"] | undefined;
  /** Those asked for before this one. */
  after?: string | undefined;
  limit: number;
}

/** The newest first: ids are in the order of time. */
export async function listTrainingSets(db: Queryable, query: ListQuery): Promise<TrainingSetStatus[]> {
  const { project = null, status = null, after = null, limit } = query;
  return await db<TrainingSetStatus[]>`
    select ${statusColumns(db)} from training_sets
    where (${project}::text is null or request ->> 'project' = ${project})
      and (${status}::text is null or status = ${status})
      and (${after}::uuid is null or id < ${after})
    order by id desc limit ${limit}`;
}

/** Undefined where there is no such training set; none for one that is not done. */
export async function readStatistics(
  db: Queryable,
  { id, after, limit }: { id: string; after: number; limit: number },
): Promise<{ columns: ColumnStatistics[]; total: number } | undefined> {
  const [row] = await db<{ columns: ColumnStatistics[]; total: number }[]>`
    select coalesce(json_array_length(statistics), 0) as total, coalesce((
      select json_agg(value order by number) from (
        select value, number from json_array_elements(statistics) with ordinality as listed(value, number)
        order by number offset ${after} limit ${limit}
      ) as page
    ), '[]') as columns
    from training_sets where id = ${id}`;
  return row && { ...row };
}

const statusColumns = (db: Queryable) =>
  db`id, request ->> 'project' as project, status, progress, error, result,
    created_at as "createdAt", finished_at as "finishedAt"`;

/** The oldest job that waits, or whose builder has not been heard of since its lease ran out. */
export async function leaseTrainingSet(
  db: Database,
  options: { leaseSeconds: number },
): Promise<LeasedTrainingSet | undefined> {
  const [row] = await db<LeasedTrainingSet[]>`
    update training_sets
    set status = 'running', attempts = attempts + 1, lease = gen_random_uuid(),
      leased_until = now() + make_interval(secs => ${options.leaseSeconds})
    where id = (
      select id from training_sets
      where status = 'queued' or (status = 'running' and leased_until < now())
      order by created_at limit 1 for update skip locked
    )
    returning id, lease, attempts, request`;
  return row;
}

/** Tells how far a job is and keeps it. @returns false when it is no longer ours */
export async function renewLease(
  db: Database,
  job: LeasedTrainingSet,
  options: { leaseSeconds: number; progress: number },
): Promise<boolean> {
  const { count } = await db`
    update training_sets
    set progress = ${options.progress}, leased_until = now() + make_interval(secs => ${options.leaseSeconds})
    where id = ${job.id} and lease = ${job.lease}`;
  return count === 1;
}

/** Gives a job back, to be built from its start by whoever comes next. */
export async function releaseTrainingSet(db: Database, job: LeasedTrainingSet): Promise<void> {
  await db`
    update training_sets
    set status = 'queued', progress = 0, attempts = attempts - 1, lease = null, leased_until = null
    where id = ${job.id} and lease = ${job.lease}`;
}

/** Ends a job that has not ended; whoever works on it finds that out when it renews its lease. */
export async function endUnlessEnded(tx: Transaction, id: string): Promise<void> {
  await tx`
    update training_sets
    set status = 'cancelled', finished_at = now(), lease = null, leased_until = null
    where id = ${id} and status in ('queued', 'running')`;
}

/** Ends a job, if it is still ours. */
export async function finishTrainingSet(
  db: Database,
  job: LeasedTrainingSet,
  outcome: { result: TrainingSetResult; statistics: readonly ColumnStatistics[] } | { error: string },
): Promise<void> {
  const [status, progress, error, result, statistics] = "result" in outcome
    ? ["done", 1, null, JSON.stringify(outcome.result), JSON.stringify(outcome.statistics)]
    : ["failed", null, outcome.error, null, null];
  await db`
    update training_sets
    set status = ${status}, progress = coalesce(${progress}, progress), error = ${error},
      result = ${result}::text::json, statistics = ${statistics}::text::json, finished_at = now(), lease = null, leased_until = null
    where id = ${job.id} and lease = ${job.lease}`;
}
