/** `predict` of the contract <-> the use case. @module */
import { type CallContext, JsonText, type RequestOf } from "shared/contracts/endpoint.ts";
import type { predict as contract } from "shared/contracts/model_serving.ts";
import { inTheOneRequest } from "./call_parts.ts";
import { featureNames } from "./log_outcome.ts";
import type { Predict, PredictionPart } from "./predict.ts";
import {
  classOf,
  outputOf,
  type PredictCall,
  type Prediction,
  type PredictTimes,
  probabilitiesOf,
  type Question,
  rounded,
} from "./predict_call.ts";
import { rowsOfColumns } from "./validation/row_checker.ts";
import { rowMajor } from "./validation/given.ts";

type Request = RequestOf<typeof contract>;

export const createPredictHandler =
  (predict: Predict) => async (request: Request, context: CallContext): Promise<JsonText> => {
    try {
      return toReply(await predict.parts(toCall(request), context));
    } catch (error) {
      throw Array.isArray(request.request) ? error : inTheOneRequest(error);
    }
  };

function toCall(request: Request): PredictCall {
  const { model, asOf, key, priority, timeoutMs, explain } = request;
  return { model, asOf, key, priority, timeoutMs, explain, question: toQuestion(request) };
}

function toQuestion({ entities, features, request, rows, columns }: Request): Question {
  if (entities !== undefined) {
    const each = request === undefined || Array.isArray(request) ? request : entities.map(() => request);
    return { entities, given: features, request: each };
  }
  if (rows !== undefined) return { rows: rows.length, check: (checker) => checker.rows(rows) };
  return { rows: rowsOfColumns(columns ?? {}), check: (checker) => checker.columns(columns ?? {}) };
}

/**
 * The reply as JSON, written by hand: what the answers of a version have in common is put together once. Rows that
 * another arm answered than the first say so themselves.
 */
function toReply(parts: readonly PredictionPart[]): JsonText {
  const [{ prediction: first }] = parts as [PredictionPart];
  const rows: string[] = [];
  for (const { prediction, positions } of parts) {
    const own = prediction === first
      ? ""
      : `,"version":${prediction.served.entry.version},"arm":"${prediction.arm}"`;
    prediction.ids.forEach((_, row) => {
      rows[positions?.[row] ?? row] = `{${rowText(prediction, row)}${own}}`;
    });
  }
  const { served, arm, at } = first;
  // A call takes as long as the part that takes longest.
  const { times } = parts.reduce(
    (slowest, { prediction }) => prediction.times.totalMs > slowest.times.totalMs ? prediction : slowest,
    first,
  );
  return new JsonText(
    `{"model":"${served.entry.model}","version":${served.entry.version},"arm":"${arm}"` +
      `,"at":${at === null ? "null" : `"${at}"`},"predictions":[${rows.join()}],"times":${timesText(times)}}`,
  );
}

export const timesText = ({ featuresMs, queueMs, runMs, totalMs }: PredictTimes): string =>
  `{"featuresMs":${rounded(featuresMs)},"queueMs":${rounded(queueMs)},"runMs":${rounded(runMs)}` +
  `,"totalMs":${rounded(totalMs)}}`;

/** The fields of one row as the contract has them, without the braces around. */
export function rowText(prediction: Prediction, row: number): string {
  const { served, ids, entities, checked, read, explanations } = prediction;
  const marks = checked.marks.get(row);
  let text = `"id":"${ids[row]}","output":${valueText(outputOf(prediction, row))}`;
  const probabilities = probabilitiesOf(prediction, row);
  if (probabilities !== undefined) {
    text += `,"class":${JSON.stringify(classOf(prediction, row))}` +
      `,"probabilities":${JSON.stringify(probabilities)}`;
  }
  if (entities !== undefined) {
    const names = featureNames(served);
    const given = rowMajor(checked.given).slice(row * names.length, (row + 1) * names.length);
    text += `,"entity":${JSON.stringify(entities[row])},"features":${byName(names, given)}`;
    if (read !== undefined) {
      text += `,"featuresFrom":"${read.from}","statuses":${byName(names, read.statuses[row]!)}` +
        `,"eventTimes":${byName(names, read.eventTimes[row]!)}`;
    }
  }
  if (marks !== undefined) text += `,"marks":${JSON.stringify(marks)}`;
  return explanations === undefined ? text : `${text},"explanation":${JSON.stringify(explanations[row])}`;
}

/** An object of values by name. */
function byName(names: readonly string[], values: ArrayLike<unknown>): string {
  let text = "";
  for (const [index, before] of quoted(names).entries()) text += before + valueText(values[index]);
  return `{${text}}`;
}

/** The names as they stand before their values, by the list that the answers of a version share. */
const prefixes = new WeakMap<readonly string[], readonly string[]>();

function quoted(names: readonly string[]): readonly string[] {
  let list = prefixes.get(names);
  if (list === undefined) {
    list = names.map((name, index) => `${index === 0 ? "" : ","}${JSON.stringify(name)}:`);
    prefixes.set(names, list);
  }
  return list;
}

/** As `JSON.stringify` gives it, which takes longer over a number. */
const valueText = (value: unknown): string =>
  typeof value === "number" && Number.isFinite(value) ? `${value}` : JSON.stringify(value ?? null);
