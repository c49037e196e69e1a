/** All the SQL of model-monitoring. @module */
import type { ModelRegistered } from "shared/contracts/model_training.ts";
import type { ReferenceBins } from "shared/contracts/signature.ts";
import type { Instant } from "shared/contracts/time.ts";
import type { Database, Transaction } from "shared/db/connection.ts";
import type { CountedPrediction, FeatureDrift, Judgement, LogMark, PredictionEvent } from "./domain.ts";

/** Serialises all that counts predictions of one version, so that a reference that comes late counts each once. */
export async function lockVersion(tx: Transaction, model: string, version: number): Promise<void> {
  await tx`select pg_advisory_xact_lock(hashtextextended(${`${model}/${version}`}, 0))`;
}

/** @returns false when it was there already */
export async function saveReference(tx: Transaction, registered: ModelRegistered): Promise<boolean> {
  const { model, version, project, referenceBins } = registered;
  const rows = await tx`
    insert into model_references (model, version, project, bins)
    values (${model}, ${version}, ${project}, ${JSON.stringify(referenceBins)}::text::jsonb)
    on conflict do nothing returning 1`;
  return rows.length === 1;
}

export async function findReference(
  tx: Transaction,
  model: string,
  version: number,
): Promise<ReferenceBins[] | undefined> {
  const [row] = await tx<{ bins: ReferenceBins[] }[]>`
    select bins from model_references where model = ${model} and version = ${version}`;
  return row?.bins;
}

/** Keeps predictions under (served_at, id). @returns those that were not there yet, in their order */
export async function insertPredictions(
  tx: Transaction,
  events: readonly PredictionEvent[],
): Promise<PredictionEvent[]> {
  const rows = events.map(({ id, time, traceparent, data }) => ({
    id,
    served_at: data.servedAt,
    at: time,
    project: data.project,
    model: data.model,
    version: data.version,
    arm: data.arm,
    assigned: data.assigned,
    rerouted: data.rerouted,
    shadow_of: data.shadowOf,
    outcome: data.outcome,
    code: data.code,
    error: data.error,
    output: data.output,
    probabilities: data.probabilities,
    entity: data.entity,
    features: data.features,
    statuses: data.statuses,
    marks: data.marks,
    features_from: data.featuresFrom,
    sample: data.sample,
    position: data.position,
    latency_ms: data.latencyMs,
    traceparent: traceparent ?? null,
  }));
  const inserted = await tx<{ id: string }[]>`
    insert into predictions (id, served_at, at, project, model, version, arm, assigned, rerouted, shadow_of, outcome,
      code, error, output, probabilities, entity, features, statuses, marks, features_from, sample, position, latency_ms,
      traceparent)
    select id, served_at, at, project, model, version, arm, assigned, rerouted, shadow_of, outcome,
      code, error, output, probabilities, entity, features, statuses, marks, features_from, sample, position, latency_ms,
      traceparent
    from jsonb_to_recordset(${
    JSON.stringify(rows)
  }::text::jsonb) as r(id text, served_at timestamptz, at timestamptz, project text, model text, version integer,
      arm text, assigned text, rerouted text, shadow_of text, outcome text, code text, error text,
      output double precision, probabilities jsonb, entity jsonb, features jsonb, statuses jsonb, marks jsonb, features_from text,
      sample double precision, position bigint, latency_ms double precision, traceparent text)
    on conflict do nothing returning id`;
  const fresh = new Set(inserted.map(({ id }) => id));
  // A batch may hold the same prediction twice: only its first counts.
  return events.filter(({ id }) => fresh.delete(id));
}

/** Adds to what is known of the processes that served these predictions, by what came and by what they say themselves. */
export async function countSequences(
  tx: Transaction,
  fresh: readonly PredictionEvent[],
  marks: readonly LogMark[],
): Promise<void> {
  interface Boot extends Omit<LogMark, "at"> {
    received: number;
    last: number;
    /** When its messages came: many boots may be told of in one transaction. */
    first: Instant | null;
    latest: Instant | null;
  }
  const boots = new Map<string, Boot>();
  const bootOf = ({ instance, boot, model }: Pick<LogMark, "instance" | "boot" | "model">) => {
    const key = JSON.stringify([instance, boot, model]);
    let known = boots.get(key);
    if (known === undefined) {
      const nothing = { received: 0, last: -1, head: 0, closed: false, first: null, latest: null };
      boots.set(key, known = { instance, boot, model, ...nothing });
    }
    return known;
  };
  for (const { data } of fresh) {
    const known = bootOf(data);
    known.received++;
    known.last = Math.max(known.last, data.sequence);
  }
  for (const mark of marks) {
    const known = bootOf(mark);
    known.head = Math.max(known.head, mark.head);
    known.closed ||= mark.closed;
    if (known.first === null || mark.at < known.first) known.first = mark.at;
    if (known.latest === null || mark.at > known.latest) known.latest = mark.at;
  }
  for (const [, seen] of [...boots].sort(([a], [b]) => a < b ? -1 : 1)) {
    await tx`
      insert into prediction_boots as known (instance, boot, model, received, last_sequence, head, closed,
        first_seen_at, last_seen_at)
      values (${seen.instance}, ${seen.boot}, ${seen.model}, ${seen.received}, ${seen.last}, ${seen.head},
        ${seen.closed}, coalesce(${seen.first}::timestamptz, now()), coalesce(${seen.latest}::timestamptz, now()))
      on conflict (instance, boot, model) do update set received = known.received + excluded.received,
        last_sequence = greatest(known.last_sequence, excluded.last_sequence),
        head = greatest(known.head, excluded.head), closed = known.closed or excluded.closed,
        first_seen_at = least(known.first_seen_at, excluded.first_seen_at),
        last_seen_at = greatest(known.last_seen_at, excluded.last_seen_at)`;
  }
}

/** What was logged of a version and answered without an error. */
export async function listCounted(
  tx: Transaction,
  model: string,
  version: number,
): Promise<CountedPrediction[]> {
  return await tx<CountedPrediction[]>`
    select at, output, probabilities, features from predictions
    where model = ${model} and version = ${version} and outcome = 'ok' and shadow_of is null`;
}

export interface WindowKey {
  monitor: string;
  model: string;
  version: number;
  startsAt: Instant;
  endsAt: Instant;
}

export interface Window extends Judgement {
  rows: number;
  revision: number;
  counts: Map<string, number[]>;
}

/** Adds counts to a window and returns it as it stands then. */
export async function addToWindow(
  tx: Transaction,
  key: WindowKey,
  added: { rows: number; counts: ReadonlyMap<string, readonly number[]> },
): Promise<Window> {
  const { monitor, model, version, startsAt, endsAt } = key;
  const [window] = await tx<Omit<Window, "counts">[]>`
    insert into drift_windows as known (monitor, model, version, starts_at, ends_at, rows)
    values (${monitor}, ${model}, ${version}, ${startsAt}, ${endsAt}, ${added.rows})
    on conflict (monitor, model, version, starts_at, ends_at) do update set rows = known.rows + excluded.rows
    returning rows, status, revision, features`;
  const additions = [...added.counts].map(([name, counts]) => ({ name, counts }));
  const counts = await tx<{ name: string; counts: number[] }[]>`
    insert into window_counts as known (monitor, model, version, starts_at, ends_at, name, counts)
    select ${monitor}, ${model}, ${version}, ${startsAt}, ${endsAt}, name, counts
    from jsonb_to_recordset(${JSON.stringify(additions)}::text::jsonb) as r(name text, counts bigint[])
    on conflict (monitor, model, version, starts_at, ends_at, name) do update set counts = (
      select array_agg(coalesce(a, 0) + coalesce(b, 0) order by bin)
      from unnest(known.counts, excluded.counts) with ordinality as both_counts(a, b, bin))
    returning name, counts`;
  return { ...window!, counts: new Map(counts.map((row) => [row.name, row.counts])) };
}

/** Keeps a judgement; its revision counts the changes of status. */
export async function saveJudgement(
  tx: Transaction,
  key: WindowKey,
  judged: Judgement & { revision: number },
): Promise<void> {
  await tx`
    update drift_windows set status = ${judged.status}, revision = ${judged.revision},
      features = ${JSON.stringify(judged.features)}::text::jsonb
    where monitor = ${key.monitor} and model = ${key.model} and version = ${key.version}
      and starts_at = ${key.startsAt} and ends_at = ${key.endsAt}`;
}

export interface DriftWindow {
  monitor: string;
  model: string;
  version: number;
  from: Instant;
  to: Instant;
  rows: number;
  status: Judgement["status"];
  features: FeatureDrift[];
}

/** Newest first. */
export async function listWindows(
  db: Database,
  options: { model?: string | undefined; limit: number },
): Promise<DriftWindow[]> {
  return await db<DriftWindow[]>`
    select monitor, model, version, starts_at as "from", ends_at as "to", rows, status, features from drift_windows
    where ${options.model ? db`model = ${options.model}` : db`true`}
    order by starts_at desc, monitor, version desc limit ${options.limit}`;
}

export interface PredictionCounts {
  model: string;
  predictions: number;
  errors: number;
  missing: number;
}

export async function countPredictions(db: Database): Promise<PredictionCounts[]> {
  return await db<PredictionCounts[]>`
    select model, count(*) as predictions, count(*) filter (where outcome = 'error') as errors,
      coalesce((select sum(last_sequence + 1 - received)::bigint from prediction_boots b where b.model = p.model), 0)
        as missing
    from predictions p where shadow_of is null group by model order by model`;
}

export interface LogGap {
  model: string;
  instance: string;
  boot: string;
  received: number;
  missing: number;
  outstanding: number;
  state: "open" | "closed" | "ended_without_closing";
  firstSeenAt: Instant;
  lastSeenAt: Instant;
}

/** What came of each process's log, newest first. */
export async function listLogGaps(
  db: Database,
  options: { model?: string | undefined; limit: number },
): Promise<LogGap[]> {
  return await db<LogGap[]>`
    with boots as (
      select instance, boot, min(first_seen_at) as first_seen_at, max(last_seen_at) as last_seen_at
      from prediction_boots group by instance, boot)
    select b.model, b.instance, b.boot, b.received, b.last_sequence + 1 - b.received as missing,
      greatest(b.head - b.last_sequence - 1, 0) as outstanding,
      case
        when b.closed then 'closed'
        when whole.last_seen_at < now() - interval '90 seconds' or exists (
          select from boots later
          where later.instance = b.instance and later.boot <> b.boot and later.first_seen_at > whole.last_seen_at)
          then 'ended_without_closing'
        else 'open'
      end as state,
      b.first_seen_at as "firstSeenAt", b.last_seen_at as "lastSeenAt"
    from prediction_boots b join boots whole using (instance, boot)
    where ${options.model ? db`b.model = ${options.model}` : db`true`}
    order by b.last_seen_at desc, b.model, b.instance, b.boot limit ${options.limit}`;
}

export interface LogTotals {
  model: string;
  received: number;
  missing: number;
  outstanding: number;
}

export async function sumLogGaps(db: Database): Promise<LogTotals[]> {
  return await db<LogTotals[]>`
    select model, sum(received)::bigint as received, sum(last_sequence + 1 - received)::bigint as missing,
      sum(greatest(head - last_sequence - 1, 0))::bigint as outstanding
    from prediction_boots group by model`;
}

export interface ShadowDifference {
  model: string;
  shadow: string;
  shadowVersion: number | null;
  arm: string | null;
  version: number | null;
  compared: number;
  shadowErrors: number;
  different: number;
  meanDifference: number | null;
  meanAbsolute: number | null;
  median: number | null;
  p95: number | null;
  max: number | null;
  shadowLatencyMs: number | null;
  latencyMs: number | null;
}

/**
 * Answers of shadows beside what the callers got. Both records bear the time of the call, which is half of the key.
 */
export async function compareShadows(
  db: Database,
  { model, since, tolerance }: { model: string; since: Instant; tolerance: number },
): Promise<ShadowDifference[]> {
  return await db<ShadowDifference[]>`
    select s.model, s.arm as shadow, s.version as "shadowVersion", p.arm, p.version,
      count(*) filter (where d.difference is not null) as compared,
      count(*) filter (where s.outcome = 'error') as "shadowErrors",
      count(*) filter (where abs(d.difference) > ${tolerance}) as different,
      avg(d.difference) as "meanDifference", avg(abs(d.difference)) as "meanAbsolute",
      percentile_cont(0.5) within group (order by abs(d.difference)) as median,
      percentile_cont(0.95) within group (order by abs(d.difference)) as p95,
      max(abs(d.difference)) as max, avg(s.latency_ms) as "shadowLatencyMs", avg(p.latency_ms) as "latencyMs"
    from predictions s
    join predictions p on p.served_at = s.served_at and p.id = s.shadow_of
    cross join lateral (select case
      when s.probabilities is null or p.probabilities is null then s.output - p.output
      else (select (of_shadow.value::float8 - of_answer.value::float8) as one
        from jsonb_each_text(s.probabilities) of_shadow join jsonb_each_text(p.probabilities) of_answer using (key)
        order by abs(of_shadow.value::float8 - of_answer.value::float8) desc nulls last limit 1)
      end as difference) d
    where s.model = ${model} and s.shadow_of is not null and s.served_at >= ${since}
    group by s.model, s.arm, s.version, p.arm, p.version
    order by s.arm, s.version desc, p.arm, p.version desc`;
}
