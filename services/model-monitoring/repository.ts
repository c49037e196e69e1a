/** All the SQL of model-monitoring. @module */
import type { ModelRegistered } from "shared/contracts/model_training.ts";
import type { ReferenceBins } from "shared/contracts/signature.ts";
import type { Instant } from "shared/contracts/time.ts";
import type { Database, Transaction } from "shared/db/connection.ts";
import type { CountedPrediction, FeatureDrift, Judgement, PredictionEvent } from "./domain.ts";

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
    outcome: data.outcome,
    error: data.error,
    output: data.output,
    entity: data.entity,
    features: data.features,
    position: data.position,
    latency_ms: data.latencyMs,
    traceparent: traceparent ?? null,
  }));
  const inserted = await tx<{ id: string }[]>`
    insert into predictions (id, served_at, at, project, model, version, arm, outcome, error, output, entity,
      features, position, latency_ms, traceparent)
    select id, served_at, at, project, model, version, arm, outcome, error, output, entity,
      features, position, latency_ms, traceparent
    from jsonb_to_recordset(${
    JSON.stringify(rows)
  }::text::jsonb) as r(id text, served_at timestamptz, at timestamptz,
      project text, model text, version integer, arm text, outcome text, error text, output double precision,
      entity jsonb, features jsonb, position bigint, latency_ms double precision, traceparent text)
    on conflict do nothing returning id`;
  const fresh = new Set(inserted.map(({ id }) => id));
  // A batch may hold the same prediction twice: only its first counts.
  return events.filter(({ id }) => fresh.delete(id));
}

/** Adds to what is known of the processes that served these predictions. */
export async function countSequences(tx: Transaction, fresh: readonly PredictionEvent[]): Promise<void> {
  const boots = new Map<
    string,
    { instance: string; boot: string; model: string; received: number; last: number }
  >();
  for (const { data: { instance, boot, model, sequence } } of fresh) {
    const key = JSON.stringify([instance, boot, model]);
    const seen = boots.get(key) ?? { instance, boot, model, received: 0, last: -1 };
    boots.set(key, { ...seen, received: seen.received + 1, last: Math.max(seen.last, sequence) });
  }
  for (const [, { instance, boot, model, received, last }] of [...boots].sort(([a], [b]) => a < b ? -1 : 1)) {
    await tx`
      insert into prediction_boots as known (instance, boot, model, received, last_sequence)
      values (${instance}, ${boot}, ${model}, ${received}, ${last})
      on conflict (instance, boot, model) do update set received = known.received + excluded.received,
        last_sequence = greatest(known.last_sequence, excluded.last_sequence)`;
  }
}

/** What was logged of a version and answered without an error. */
export async function listCounted(
  tx: Transaction,
  model: string,
  version: number,
): Promise<CountedPrediction[]> {
  return await tx<CountedPrediction[]>`
    select at, output, features from predictions
    where model = ${model} and version = ${version} and outcome = 'ok'`;
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
    from predictions p group by model order by model`;
}
