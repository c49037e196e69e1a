/** Whether the features that were served are those that are computed now for the same T. @module */
import { v7 as uuidv7 } from "uuid";
import { encodeBatches } from "shared/bus/batch.ts";
import { EVENT_TYPE } from "shared/contracts/envelope.ts";
import type { ConsistencyCheck, ModelConsistency } from "shared/contracts/feature_store.ts";
import type { Signal } from "shared/contracts/signal.ts";
import { subject } from "shared/contracts/streams.ts";
import { toInstant } from "shared/contracts/time.ts";
import { type Database, transaction } from "shared/db/connection.ts";
import { enqueue } from "shared/db/outbox.ts";
import { createFeatureCache, type Definitions } from "./catalog.ts";
import { comparePrediction } from "./compare_prediction.ts";
import { summarize } from "./domain/consistency.ts";
import { insertCheck } from "./repository/insight.ts";
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
  const features = createFeatureCache(definitions);
  const models: ModelConsistency[] = [];
  for (const [model, ofModel] of Map.groupBy(predictions, ({ data }) => data.model)) {
    const [project] = ofModel.flatMap(({ data }) => data.project ?? []);
    if (project === undefined) continue;
    const compared = [];
    for (const prediction of ofModel) compared.push(await comparePrediction({ db, features }, prediction));
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
