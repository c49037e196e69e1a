/** Whether the features that were served are those that are computed now for the same T. @module */
import { v7 as uuidv7 } from "uuid";
import { encodeBatches } from "shared/bus/batch.ts";
import { entityKey } from "shared/contracts/entity_key.ts";
import { EVENT_TYPE } from "shared/contracts/envelope.ts";
import type { ConsistencyCheck, ModelConsistency, RequestValues } from "shared/contracts/feature_store.ts";
import type { Signal } from "shared/contracts/signal.ts";
import { subject } from "shared/contracts/streams.ts";
import { toInstant } from "shared/contracts/time.ts";
import { type Database, type Queryable, transaction } from "shared/db/connection.ts";
import { enqueue } from "shared/db/outbox.ts";
import { AppError } from "shared/errors.ts";
import { type AskedFeatures, type Definitions, findFeatures } from "./catalog.ts";
import { compareValues, summarize, type ValueComparison } from "./domain/consistency.ts";
import type { FeatureRow } from "./domain/feature_plan.ts";
import { createHistory } from "./domain/history.ts";
import { readLateRecords } from "./repository/applied_messages.ts";
import { insertCheck } from "./repository/insight.ts";
import { readHistories } from "./repository/records.ts";
import type { LoggedPrediction } from "./sample_predictions.ts";

export interface ConsistencyDeps {
  db: Database;
  definitions: Definitions;
  /** Tells of the outcome by metrics. */
  told(models: readonly ModelConsistency[]): void;
}

/** Compares, keeps the result, and signals for each model whether anything differs without an explanation. */
export async function checkConsistency(
  { db, definitions, told }: ConsistencyDeps,
  predictions: readonly LoggedPrediction[],
  actor: string,
): Promise<ConsistencyCheck> {
  const models: ModelConsistency[] = [];
  for (const [model, ofModel] of Map.groupBy(predictions, ({ data }) => data.model)) {
    const [project] = ofModel.flatMap(({ data }) => data.project ?? []);
    if (project === undefined) continue;
    const compared = [];
    for (const prediction of ofModel) compared.push(await comparePrediction({ db, definitions }, prediction));
    models.push(summarize({ project, model }, compared));
  }
  const check = { id: uuidv7(), at: toInstant(Date.now()), actor, models };
  await transaction(db, async (tx) => {
    await insertCheck(tx, check);
    await enqueue(tx, models.flatMap((model) => signalOf(check, model)));
  });
  told(models);
  return check;
}

/** @returns undefined where the prediction says nothing about what the store gave */
async function comparePrediction(
  { db, definitions }: { db: Queryable; definitions: Definitions },
  prediction: LoggedPrediction,
): Promise<ValueComparison[] | undefined> {
  const { data } = prediction;
  const { entity, position, statuses } = data;
  const names = Object.keys(data.features).filter((name) =>
    !["GIVEN", "DEFAULT"].includes(statuses[name] ?? "")
  );
  const isLookedUp = data.outcome === "ok" && (data.featuresFrom ?? "store") === "store";
  if (!isLookedUp || entity === null || position === null || names.length === 0) return undefined;
  const asked = await findServed(definitions, names, data.request);
  if (asked === undefined || await hasChanged(definitions, asked, data.servedAt)) return undefined;

  const atMs = Date.parse(prediction.time);
  const keyOf = (name: string) => entityKey(entity, asked.keysOf.get(name) ?? {});
  const computed = await evaluateAt(db, asked, { keyOf, atMs, request: data.request ?? undefined });
  const late = new Map<string, { position: number; knownAtMs: number }[]>();
  for (const [name, views] of Map.groupBy(asked.plan.views, (view) => view.entity)) {
    const sources = [...new Set(views.map(({ source }) => source))];
    const key = keyOf(name);
    if (key === undefined) return undefined;
    for (const record of await readLateRecords(db, { entity: name, key, sources, atMs, position })) {
      late.set(record.source, [...late.get(record.source) ?? [], record]);
    }
  }
  const lateOf = asked.plan.views.flatMap(({ source }) => late.get(source) ?? []);
  return names.flatMap((feature, index): ValueComparison[] => {
    if (computed.approximate.includes(index)) return [];
    const served = data.features[feature] ?? null;
    const value = computed.values[index]!;
    return [{
      prediction: prediction.id,
      entity,
      atMs,
      feature,
      served,
      computed: value,
      outcome: compareValues(served, value) ? "equal" : lateOf.length > 0 ? "explained" : "unexplained",
      late: lateOf.map(({ position: applied, knownAtMs }) => ({
        messages: applied - position,
        lagMs: atMs - knownAtMs,
      })),
    }];
  });
}

/** Undefined where the features are not all there any more, or ask for values that the record does not hold. */
async function findServed(
  definitions: Definitions,
  names: readonly string[],
  request: RequestValues | null,
): Promise<AskedFeatures | undefined> {
  try {
    const asked = await findFeatures(definitions, names);
    const values = request ?? {};
    return [...asked.plan.request.keys()].every((name) => Object.hasOwn(values, name)) ? asked : undefined;
  } catch (error) {
    if (error instanceof AppError && ["not_found", "invalid"].includes(error.code)) return undefined;
    throw error;
  }
}

/** What was served under another definition cannot be computed from the one in force. */
async function hasChanged(
  definitions: Definitions,
  { plan }: AskedFeatures,
  servedAt: string,
): Promise<boolean> {
  for (const { name } of plan.views) {
    const view = await definitions.view(name);
    if (view === undefined || view.changedAt > servedAt) return true;
  }
  return false;
}

/** From the records alone: what buckets hold is thereby checked too. */
async function evaluateAt(
  db: Queryable,
  { plan }: AskedFeatures,
  { keyOf, atMs, request }: {
    keyOf: (entity: string) => string | undefined;
    atMs: number;
    request: RequestValues | undefined;
  },
): Promise<FeatureRow> {
  const histories = new Map<string, ReturnType<typeof createHistory>>();
  for (const { entity, source } of plan.views) {
    const name = `${entity}/${source}`;
    if (histories.has(name)) continue;
    const layout = plan.layouts.get(source)!;
    const key = keyOf(entity)!;
    const fields = layout.filters.length > 0 ? undefined : layout.fields;
    const records = await readHistories(db, {
      entity,
      source,
      keys: [key],
      fields,
      until: atMs,
      knownBy: atMs,
    });
    histories.set(name, createHistory(layout, records.get(key) ?? []));
  }
  return plan.evaluate(({ entity, source }) => ({ history: histories.get(`${entity}/${source}`)! }), {
    atMs,
    request,
  });
}

function signalOf(check: ConsistencyCheck, model: ModelConsistency) {
  const { unexplained, explained, values, examples } = model;
  const data: Signal = {
    project: model.project,
    kind: "consistency",
    subjectType: "model",
    name: model.model,
    status: unexplained === 0 ? "ok" : "breach",
    value: unexplained,
    threshold: 1,
    summary:
      `${unexplained} of ${values} served values of ${model.model} differ from what is computed for the same T`,
    details: { check: check.id, explained, examples },
  };
  const event = {
    specversion: "1.0" as const,
    id: uuidv7(),
    source: model.model,
    type: EVENT_TYPE.signal,
    time: check.at,
    knownat: check.at,
    definition: 0,
    data,
  };
  return encodeBatches([event], { subject: subject.signal("consistency", "model", model.model) });
}
