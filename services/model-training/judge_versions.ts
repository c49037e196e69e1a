/** Two models' files on the same rows, later than what either was trained on. @module */
import type { Gate, Metric } from "shared/contracts/model_training.ts";
import type { ReferenceBins, Signature } from "shared/contracts/signature.ts";
import { type Instant, toInstant } from "shared/contracts/time.ts";
import { AppError } from "shared/errors.ts";
import { numberLabels } from "./domain/classes.ts";
import { type Dataset, selectRows } from "./domain/dataset.ts";
import { type Answers, decideGate, type GateDecision, type SlicedFeature } from "./domain/gate.ts";
import { quantileOf } from "./domain/quantile.ts";
import { readSettledRows } from "./training_data.ts";
import { scoreWithFile } from "./verify.ts";

/** A version as far as judging needs it. */
export interface Contender {
  version: number;
  onnx: Uint8Array;
  /** The features it takes, in order. */
  inputs: readonly string[];
  /** How many values it answers a row with. */
  outputs: number;
  signature: Pick<Signature, "task" | "classes">;
  referenceBins: readonly ReferenceBins[];
  /** T of the newest row it was trained on. */
  trainUntil: Instant;
  /** Its labels looked at (T, T + horizon]. */
  horizonMs: number;
}

export interface JudgingTask {
  /** The candidate's training set, Parquet. */
  file: Uint8Array;
  metric: Metric;
  /** Of a regression that does not aim at the mean. */
  quantile?: number | undefined;
  gate: Gate;
  candidate: Contender;
  /** Null when there is none yet. */
  champion: Contender | null;
}

export interface Judgement extends GateDecision {
  /** T of the first and the last row judged; null without any. */
  from: Instant | null;
  until: Instant | null;
}

/**
 * Judges by the rows of the candidate's training set whose T is not before the end of any label window that either
 * model learnt from: both meet these rows for the first time. The baseline is the prior of the candidate's training
 * part, on the same rows.
 *
 * @throws {AppError} when a file can't be run, or the metric is not defined on the rows
 */
export async function judgeVersions(task: JudgingTask): Promise<Judgement> {
  const { metric, quantile, gate, candidate, champion } = task;
  const settled = await readSettledRows(task.file);
  const dataset = settled.dataset(candidate.inputs);
  const chosen = laterRows(dataset.times, champion === null ? [candidate] : [candidate, champion]);
  const rows = selectRows(dataset, chosen);
  const judged = extent(rows.times);
  const unknown = (champion?.inputs ?? []).filter((name) => !settled.featureNames.includes(name));
  if (champion !== null && unknown.length > 0) {
    const reason = `The champion takes ${unknown.join(", ")}, which the candidate's training set lacks: ` +
      `the two can't be compared on the same rows`;
    return { ...UNDECIDED, ...judged, rows: rows.rows, reasons: [reason] };
  }
  const answersOf = async ({ onnx, inputs, outputs, signature }: Contender): Promise<Answers> => {
    const own = selectRows(numberLabels(settled.dataset(inputs), signature), chosen);
    return { labels: own.labels, outputs: await scoreWithFile(onnx, own, outputs) };
  };
  const answers = await answersOf(candidate);
  const decision = decideGate(gate, {
    metric,
    quantile,
    candidate: answers,
    champion: champion && await answersOf(champion),
    baseline: {
      labels: answers.labels,
      outputs: priorAnswers(dataset, rows.rows, { candidate, quantile }),
    },
    sliced: slicedFeatures(gate, rows, candidate),
  });
  return { ...decision, ...judged };
}

const UNDECIDED: GateDecision = {
  passed: false,
  rows: 0,
  candidateValue: null,
  championValue: null,
  baselineValue: null,
  gain: null,
  slices: [],
  reasons: [],
};

/** @throws {AppError} `unprocessable` for a slice by a feature that the candidate does not take */
function slicedFeatures(gate: Gate, rows: Dataset, { referenceBins }: Contender): SlicedFeature[] {
  return (gate.slices?.features ?? []).map((name) => {
    const feature = rows.featureNames.indexOf(name);
    const bins = referenceBins.find((bins) => bins.name === name);
    if (feature < 0 || bins === undefined) {
      throw new AppError(
        "unprocessable",
        `Cannot compare by slices of ${name}: the candidate has the features ${rows.featureNames.join(", ")}`,
      );
    }
    return { values: placesOf(rows, feature, bins), bins };
  });
}

/** Numbers as they are; texts as the numbers that their bins have for them. NaN is missing. */
function placesOf(
  { columns, dictionaries }: Dataset,
  feature: number,
  { categories }: ReferenceBins,
): ArrayLike<number> {
  const column = columns[feature]!;
  const dictionary = dictionaries[feature] ?? null;
  if (dictionary === null || categories === undefined) return column;
  const places = dictionary.map((text) => {
    const place = categories.indexOf(text);
    return place < 0 ? categories.length : place;
  });
  return Float64Array.from(column, (code) => code === 0 ? NaN : places[code - 1]!);
}

function laterRows(times: Float64Array, contenders: readonly Contender[]): Int32Array {
  const border = Math.max(
    ...contenders.map(({ trainUntil, horizonMs }) => Date.parse(trainUntil) + horizonMs),
  );
  return Int32Array.from(times, (_, row) => row).filter((row) => times[row]! >= border);
}

/** What the prior of the candidate's training part answers: the mean label, its quantile, or the share of each class. */
function priorAnswers(
  dataset: Dataset,
  rows: number,
  { candidate: { trainUntil, outputs, signature }, quantile }: {
    candidate: Contender;
    quantile: number | undefined;
  },
): Float64Array {
  const { times, labels } = numberLabels(dataset, signature);
  const until = Date.parse(trainUntil);
  const known = labels.filter((_, row) => times[row]! <= until);
  const share = (of: (label: number) => number) =>
    Math.fround(known.reduce((sum, label) => sum + of(label), 0) / known.length);
  const answer = quantile !== undefined
    ? [quantileOf(known, quantile)]
    : outputs === 1
    ? [share((label) => label)]
    : Array.from({ length: outputs }, (_, own) => share((label) => label === own ? 1 : 0));
  return Float64Array.from({ length: rows * outputs }, (_, index) => answer[index % outputs]!);
}

/** Rows may come in any order of T. */
function extent(times: Float64Array): Pick<Judgement, "from" | "until"> {
  if (times.length === 0) return { from: null, until: null };
  const first = times.reduce((least, time) => Math.min(least, time));
  const last = times.reduce((most, time) => Math.max(most, time));
  return { from: toInstant(first), until: toInstant(last) };
}
