/** The SQL of replays: what was asked for, how far each is, and which copy works on it. @module */
import type { Replay, ReplayTarget } from "shared/contracts/replay.ts";
import type { Instant } from "shared/contracts/time.ts";
import type { Database, Queryable, Transaction } from "shared/db/connection.ts";
import type { ReplayPosition } from "../domain/replay_pieces.ts";

/** A replay as it is asked for. */
export interface NewReplay {
  run: string;
  source: string;
  project: string;
  from: Instant | null;
  until: Instant | null;
  where: string | null;
  to: ReplayTarget;
  rate: number | null;
  pace: number | null;
  actor: string;
}

/** A replay in the hands of a copy of the service. */
export type ClaimedReplay = Replay & { project: string };

/** A copy's claim on a replay. */
export interface ReplayLease {
  run: string;
  owner: string;
  /** For how long, from now on. */
  leaseMs: number;
}

interface ReplayRow extends Omit<Replay, "position"> {
  project: string;
  positionTime: Instant | null;
  positionId: string | null;
}

/** A replay that no copy has taken up for a while says so: each works on a few at a time. */
const columns = (db: Queryable) =>
  db`
  run, source, project, from_time as "from", until_time as "until", filter as "where", target as "to", rate, pace,
  state, read, published, position_time as "positionTime", position_id as "positionId", actor,
  started_at as "startedAt", finished_at as "finishedAt",
  case when state = 'running' and coalesce(leased_until, started_at) < now() - interval '2 seconds'
    then 'waits for a copy of data-ingestion to take it up' else reason end as reason`;

function toReplay({ project: _, ...row }: ReplayRow): Replay {
  const { positionTime: time, positionId: id, ...replay } = row;
  return { ...replay, position: time === null || id === null ? null : { time, id } };
}

/** @returns `undefined` when the run's name is taken */
export async function insertReplay(tx: Transaction, replay: NewReplay): Promise<Replay | undefined> {
  const { run, source, project, from, until, where, to, rate, pace, actor } = replay;
  const [row] = await tx<ReplayRow[]>`
    insert into replays (run, source, project, from_time, until_time, filter, target, rate, pace, actor)
    values (${run}, ${source}, ${project}, ${from}, ${until}, ${where}, ${to}, ${rate}, ${pace}, ${actor})
    on conflict (run) do nothing
    returning ${columns(tx)}`;
  return row === undefined ? undefined : toReplay(row);
}

export async function findReplay(db: Queryable, run: string): Promise<Replay | undefined> {
  const [row] = await db<ReplayRow[]>`select ${columns(db)} from replays where run = ${run}`;
  return row === undefined ? undefined : toReplay(row);
}

/** Newest first. */
export async function listReplays(
  db: Queryable,
  { source, limit }: { source?: string | undefined; limit: number },
): Promise<Replay[]> {
  const rows = await db<ReplayRow[]>`
    select ${columns(db)} from replays
    where ${source ?? null}::text is null or source = ${source ?? null}
    order by started_at desc, run desc
    limit ${limit}`;
  return rows.map(toReplay);
}

/** Ends a replay where it is. One that has ended stays as it is. */
export async function cancelReplay(tx: Transaction, run: string): Promise<Replay | undefined> {
  await tx`
    update replays
    set state = 'cancelled', finished_at = now(), reason = null, owner = null, leased_until = null
    where run = ${run} and state = 'running'`;
  return await findReplay(tx, run);
}

/** Takes the oldest replay that nobody works on. */
export async function claimReplay(
  db: Database,
  { owner, leaseMs }: Omit<ReplayLease, "run">,
): Promise<ClaimedReplay | undefined> {
  const [row] = await db<ReplayRow[]>`
    update replays
    set owner = ${owner}, leased_until = now() + ${leaseMs} * interval '1 millisecond', reason = null
    where run = (
      select run from replays
      where state = 'running' and (leased_until is null or leased_until < now())
      order by started_at
      limit 1
      for update skip locked
    )
    returning ${columns(db)}`;
  return row === undefined ? undefined : { ...toReplay(row), project: row.project };
}

/** Keeps the claim. @returns whether it is still there: not when the replay was cancelled, or another copy has it */
export async function renewReplay(
  db: Database,
  { run, owner, leaseMs }: ReplayLease,
  waitsFor: string | null,
): Promise<boolean> {
  const { count } = await db`
    update replays
    set leased_until = now() + ${leaseMs} * interval '1 millisecond', reason = ${waitsFor}
    where run = ${run} and owner = ${owner} and state = 'running'`;
  return count === 1;
}

/** Writes down what is done, and keeps the claim. @returns whether it is still there */
export async function advanceReplay(
  db: Database,
  { run, owner, leaseMs }: ReplayLease,
  { read, published, position }: { read: number; published: number; position: ReplayPosition },
): Promise<boolean> {
  const { count } = await db`
    update replays
    set read = read + ${read}, published = published + ${published},
      position_time = ${position.time}, position_id = ${position.id},
      leased_until = now() + ${leaseMs} * interval '1 millisecond', reason = null
    where run = ${run} and owner = ${owner} and state = 'running'`;
  return count === 1;
}

export async function finishReplay(
  db: Database,
  { run, owner }: Pick<ReplayLease, "run" | "owner">,
  { state, reason }: { state: "done" | "failed"; reason: string | null },
): Promise<void> {
  await db`
    update replays
    set state = ${state}, reason = ${reason}, finished_at = now(), owner = null, leased_until = null
    where run = ${run} and owner = ${owner} and state = 'running'`;
}

/** Gives the claim up, so that another copy may go on at once. */
export async function releaseReplay(
  db: Database,
  { run, owner }: Pick<ReplayLease, "run" | "owner">,
): Promise<void> {
  await db`update replays set owner = null, leased_until = null where run = ${run} and owner = ${owner}`;
}
