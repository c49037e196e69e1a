/** The SQL of training runs as jobs. @module */
import type { Evaluation, TestLook, Trial } from "shared/contracts/model_training.ts";
import type { Database, Queryable, Transaction } from "shared/db/connection.ts";
import type { LeasedRun, NewRun, RunPlace } from "../domain/run.ts";
import { keepParameters, keepResults, keepTags } from "./run_records.ts";

/** Writes down a run: of ours it waits from then on, of someone else's it is under way. */
export async function insertRun(tx: Transaction, run: NewRun): Promise<void> {
  const waits = run.kind === "trained";
  await tx`
    insert into runs (id, project, kind, model, definition, spec, algorithm, seed, training_set, retry_of,
      logged_run, git_revision, environment, status, stage, actor, reason)
    values (${run.id}, ${run.project}, ${run.kind}, ${run.model}, ${run.definition},
      ${run.spec && JSON.stringify(run.spec)}::text::json, ${run.algorithm}, ${run.seed}, ${run.trainingSet},
      ${run.retryOf}, ${run.loggedRun}, ${run.gitRevision}, ${JSON.stringify(run.environment)}::text::json,
      ${waits ? "queued" : "running"}, ${waits ? "queued" : "fit"}, ${run.actor}, ${run.reason})`;
  await keepParameters(tx, run.id, run.parameters);
  await keepTags(tx, run.id, run.tags);
}

/** The oldest run that waits, or whose copy has not been heard of since its lease ran out. */
export async function leaseRun(
  db: Database,
  options: { leaseSeconds: number; environment: Readonly<Record<string, string>> },
): Promise<LeasedRun | undefined> {
  const [row] = await db<LeasedRun[]>`
    update runs
    set status = 'running', attempts = attempts + 1, lease = gen_random_uuid(),
      leased_until = now() + make_interval(secs => ${options.leaseSeconds}),
      environment = ${JSON.stringify(options.environment)}::text::json
    where id = (
      select id from runs
      where kind = 'trained' and (status = 'queued' or (status = 'running' and leased_until < now()))
      order by created_at, id limit 1 for update skip locked
    )
    returning id, project, model, definition, spec, actor, reason, lease, attempts,
      (select coalesce(json_object_agg(key, value), '{}') from run_tags where run = id) as tags`;
  return row && { ...row };
}

/** Keeps a run and tells how far it is. @returns false when it is no longer ours */
export async function renewRun(
  db: Queryable,
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

/** Gives a run back, to be trained from its start by whoever comes next. @returns false when it is no longer ours */
export async function releaseRun(db: Queryable, run: LeasedRun): Promise<boolean> {
  const { count } = await db`
    update runs
    set status = 'queued', stage = 'queued', progress = 0, attempts = attempts - 1, lease = null,
      leased_until = null
    where id = ${run.id} and lease = ${run.lease}`;
  return count === 1;
}

/** @returns false when the run is no longer ours */
export async function failRun(db: Queryable, run: LeasedRun, error: string): Promise<boolean> {
  const { count } = await db`
    update runs
    set status = 'failed', error = ${error}, finished_at = now(), lease = null, leased_until = null
    where id = ${run.id} and lease = ${run.lease}`;
  return count === 1;
}

/** Ends a run that has not ended yet, whoever works on it. @returns false when it has ended */
export async function cancelRun(tx: Transaction, id: string, reason: string): Promise<boolean> {
  const { count } = await tx`
    update runs
    set status = 'cancelled', error = ${reason}, finished_at = now(), lease = null, leased_until = null
    where id = ${id} and status in ('queued', 'running')`;
  return count === 1;
}

/** Keeps a run as it is until the transaction ends. @returns false when it is no longer ours */
export async function holdRun(tx: Transaction, run: LeasedRun): Promise<boolean> {
  const rows = await tx`select from runs where id = ${run.id} and lease = ${run.lease} for update`;
  return rows.length === 1;
}

export interface RunOutcome {
  /** Null where nothing was registered. */
  version: number | null;
  evaluation: Evaluation | null;
  /** Of a search. */
  trials: readonly Trial[];
  /** Those it was fitted with in the end. */
  parameters: Readonly<Record<string, unknown>>;
  results: Readonly<Record<string, number>>;
  /** What is known of it besides that of the copy that worked on it. */
  environment: Readonly<Record<string, string>>;
}

/** Ends a run that is held. */
export async function completeRun(tx: Transaction, id: string, outcome: RunOutcome): Promise<void> {
  const { version, evaluation, trials, parameters, results, environment } = outcome;
  const look = evaluation && await lookAtTest(tx, id, { evaluation, tried: trials.length });
  await tx`
    update runs
    set status = 'done', stage = 'done', progress = 1, version = ${version},
      evaluation = ${evaluation && JSON.stringify(evaluation)}::text::json,
      test_look = ${look && JSON.stringify(look)}::text::json,
      environment = (environment::jsonb || ${JSON.stringify(environment)}::text::jsonb)::json,
      trials = ${JSON.stringify(trials)}::text::json, finished_at = now(), lease = null, leased_until = null
    where id = ${id}`;
  await keepParameters(tx, id, parameters);
  await keepResults(tx, id, results);
}

async function lookAtTest(
  tx: Transaction,
  id: string,
  { evaluation, tried }: { evaluation: Evaluation; tried: number },
): Promise<TestLook> {
  const { rows, testFrom: from, testUntil: until } = evaluation;
  const [row] = await tx<Pick<TestLook, "at" | "actor" | "before">[]>`
    select now() as at, actor, (
      select count(*)::int from runs
      where training_set = own.training_set and test_look is not null
        and test_look ->> 'from' <= ${until} and test_look ->> 'until' >= ${from}
    ) as before
    from runs own where id = ${id}`;
  return { ...row!, rows, from, until, tried };
}

/** A run of someone's own code that is still under way, kept as it is until the transaction ends. */
export async function holdLoggedRun(
  tx: Transaction,
  id: string,
): Promise<{ kind: string; status: string } | undefined> {
  const [row] = await tx<{ kind: string; status: string }[]>`
    select kind, status from runs where id = ${id} for update`;
  return row && { ...row };
}

/** A run of someone's own code that is under way and has said nothing for so many hours, kept as it is. */
export async function holdSilentRun(tx: Transaction, hours: number): Promise<string | undefined> {
  const [row] = await tx<{ id: string }[]>`
    select id from runs r
    where kind = 'logged' and status = 'running' and created_at < now() - make_interval(hours => ${hours})
      and not exists (
        select from run_events
        where run = r.id and sequence = r.events
          and (event ->> 'at')::timestamptz >= now() - make_interval(hours => ${hours})
      )
    order by created_at limit 1 for update skip locked`;
  return row?.id;
}

/** Ends a run of someone's own code. @param error why it failed; null when it is done */
export async function endLoggedRun(tx: Transaction, id: string, error: string | null): Promise<void> {
  await tx`
    update runs
    set status = ${error === null ? "done" : "failed"}, error = ${error}, finished_at = now(),
      stage = case when ${error === null} then 'done' else stage end,
      progress = case when ${error === null} then 1 else progress end
    where id = ${id}`;
}

export async function setProgress(tx: Transaction, id: string, progress: number): Promise<void> {
  await tx`update runs set progress = ${progress} where id = ${id}`;
}

export interface RunCounts {
  queued: number;
  running: number;
  /** Done, failed or cancelled. */
  handled: number;
}

export async function countRuns(db: Database): Promise<RunCounts> {
  const [row] = await db<RunCounts[]>`
    select count(*) filter (where status = 'queued') as queued,
      count(*) filter (where status = 'running') as running,
      count(*) filter (where status in ('done', 'failed', 'cancelled')) as handled
    from runs where kind = 'trained'`;
  return { ...row! };
}
