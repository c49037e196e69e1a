/** `predict` of the contract <-> the use case. @module */
import type { Handler, ReplyOf, RequestOf } from "shared/contracts/endpoint.ts";
import type { predict as contract } from "shared/contracts/model_serving.ts";
import { featureNames } from "./log_outcome.ts";
import { featuresOf, type Predict, type PredictionPart } from "./predict.ts";
import type { PredictCall, Prediction, Question } from "./predict_call.ts";

type Request = RequestOf<typeof contract>;

export const createPredictHandler =
  (predict: Predict): Handler<typeof contract> => async (request, context) =>
    toReply(await predict.parts(toCall(request), context));

function toCall(request: Request): PredictCall {
  const { model, asOf, key, priority, timeoutMs } = request;
  return { model, asOf, key, priority, timeoutMs, question: toQuestion(request) };
}

function toQuestion({ entities, features, rows, columns }: Request): Question {
  if (entities !== undefined) return { entities, given: features };
  if (rows !== undefined) return { rows: rows.length, check: (checker) => checker.rows(rows) };
  const lists = Object.values(columns ?? {});
  return { rows: lists[0]?.length ?? 0, check: (checker) => checker.columns(columns ?? {}) };
}

/** Rows that another arm answered than the first say so themselves. */
function toReply(parts: readonly PredictionPart[]): ReplyOf<typeof contract> {
  const [{ prediction: first }] = parts as [PredictionPart];
  const predictions: ReplyOf<typeof contract>["predictions"] = [];
  for (const { prediction, positions } of parts) {
    const { version } = prediction.served.entry;
    const own = prediction === first ? undefined : { version, arm: prediction.arm };
    prediction.ids.forEach((_, row) => {
      predictions[positions?.[row] ?? row] = { ...toRow(prediction, row), ...own };
    });
  }
  return {
    model: first.served.entry.model,
    version: first.served.entry.version,
    arm: first.arm,
    at: first.at,
    predictions,
    times: first.times,
  };
}

/** One row as the contract has it. */
export function toRow({ served, ids, entities, checked, read, outputs }: Prediction, row: number) {
  const names = featureNames(served);
  const marks = checked.marks.get(row);
  return {
    id: ids[row]!,
    output: outputs[row * served.model.outputWidth]!,
    ...(entities === undefined ? {} : { entity: entities[row]! }),
    features: featuresOf(names, checked, row),
    ...(read === undefined ? {} : {
      featuresFrom: read.from,
      statuses: byName(names, read.statuses[row]!),
      eventTimes: byName(names, read.eventTimes[row]!),
    }),
    ...(marks === undefined ? {} : { marks }),
  };
}

const byName = <Value>(names: readonly string[], values: readonly Value[]): Record<string, Value> =>
  Object.fromEntries(names.map((name, column) => [name, values[column]!]));
