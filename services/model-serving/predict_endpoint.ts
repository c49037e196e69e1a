/** `predict` of the contract <-> the use case. @module */
import type { Handler, ReplyOf, RequestOf } from "shared/contracts/endpoint.ts";
import type { predict as contract } from "shared/contracts/model_serving.ts";
import { featuresOf, type Predict } from "./predict.ts";
import type { PredictCall, Prediction, Question } from "./predict_call.ts";

type Request = RequestOf<typeof contract>;

export const createPredictHandler =
  (predict: Predict): Handler<typeof contract> => async (request, context) =>
    toReply(await predict(toCall(request), context));

function toCall(request: Request): PredictCall {
  const { model, asOf, priority, timeoutMs } = request;
  return { model, asOf, priority, timeoutMs, question: toQuestion(request) };
}

function toQuestion({ entities, features, rows, columns }: Request): Question {
  if (entities !== undefined) return { entities, given: features };
  if (rows !== undefined) return { rows: rows.length, check: (checker) => checker.rows(rows) };
  const lists = Object.values(columns ?? {});
  return { rows: lists[0]?.length ?? 0, check: (checker) => checker.columns(columns ?? {}) };
}

function toReply({ served, arm, at, ids, entities, checked, statuses, outputs, times }: Prediction): ReplyOf<
  typeof contract
> {
  const names = served.signature.inputs.map(({ name }) => name);
  return {
    model: served.entry.model,
    version: served.entry.version,
    arm,
    at,
    predictions: ids.map((id, row) => {
      const marks = checked.marks.get(row);
      return {
        id,
        output: outputs[row * served.model.outputWidth]!,
        ...(entities === undefined ? {} : { entity: entities[row]! }),
        features: featuresOf(names, checked, row),
        ...(statuses === undefined
          ? {}
          : { statuses: Object.fromEntries(names.map((name, column) => [name, statuses[row]![column]!])) }),
        ...(marks === undefined ? {} : { marks }),
      };
    }),
    times,
  };
}
