import type { Metric } from "shared/contracts/model_training.ts";
import type { Task } from "shared/contracts/signature.ts";
import { invalid } from "shared/errors.ts";
import { countClasses } from "../classes.ts";

/** Labels with a model's outputs for the same rows. */
export interface ScoredRows {
  /**
   * Of several classes, the number of the class. A number for which there is no output is a class that the model does
   * not know: whatever it answers is wrong.
   */
  labels: Float64Array;
  /** Probabilities of the label 1, values, or the probabilities of all classes: [rows, classes]. */
  outputs: Float64Array;
  /** Row numbers, highest output first: the metrics that rank share one sort. Of several classes empty. */
  ranking: Int32Array;
  /** Of several classes, each against all others; else empty. */
  classes: readonly ScoredRows[];
  /** That the outputs of a regression aim at, where they do not aim at the mean. */
  quantile: number;
}

/** Sums over rows in which row i counts `weights[i]` times; NaN where the metric is not defined on the rows. */
type Compute = (rows: ScoredRows, weights: Float64Array) => number;

interface MetricSpec {
  tasks: readonly Task[];
  /** Which way is better. */
  better: "higher" | "lower";
  compute: Compute;
}

const CLASSES: readonly Task[] = ["binary", "multiclass"];
const VALUES: readonly Task[] = ["regression"];

/** Every metric a model can be judged by. */
export const METRICS: Readonly<Record<Metric, MetricSpec>> = {
  auc: { tasks: CLASSES, better: "higher", compute: overClasses(areaUnderRoc) },
  "average_precision": { tasks: CLASSES, better: "higher", compute: overClasses(averagePrecision) },
  "log_loss": { tasks: CLASSES, better: "lower", compute: logLoss },
  brier: { tasks: CLASSES, better: "lower", compute: brier },
  accuracy: { tasks: CLASSES, better: "higher", compute: accuracy },
  f1: { tasks: CLASSES, better: "higher", compute: f1 },
  "calibration_error": { tasks: CLASSES, better: "lower", compute: calibrationError },
  rmse: { tasks: VALUES, better: "lower", compute: (rows, w) => Math.sqrt(meanSquaredError(rows, w)) },
  mae: { tasks: VALUES, better: "lower", compute: meanAbsoluteError },
  mape: { tasks: VALUES, better: "lower", compute: meanAbsolutePercentageError },
  r2: { tasks: VALUES, better: "higher", compute: determination },
  pinball: { tasks: VALUES, better: "lower", compute: pinballLoss },
};

/**
 * Pairs labels with outputs.
 *
 * @param outputs one a row, or one a row and class
 * @param quantile that a regression is judged at by `pinball`
 * @throws {AppError} `invalid` when the lengths differ, there is no row, or an output is not a finite number
 */
export function scoreRows(labels: Float64Array, outputs: Float64Array, quantile = 0.5): ScoredRows {
  if (labels.length === 0) throw invalid("Cannot evaluate: there are no rows");
  const width = outputs.length / labels.length;
  if (!Number.isInteger(width) || width === 0) {
    throw invalid(`Cannot evaluate: ${labels.length} labels have ${outputs.length} outputs`);
  }
  const index = outputs.findIndex((output) => !Number.isFinite(output));
  if (index >= 0) {
    const row = Math.floor(index / width);
    throw invalid(`Cannot evaluate: the output is ${outputs[index]} in row ${row}, it must be finite`);
  }
  if (width === 1) return { labels, outputs, ranking: rank(outputs), classes: [], quantile };
  const against = Array.from({ length: width }, (_, number) => {
    const own = Float64Array.from(labels, (_, row) => outputs[row * width + number]!);
    const isOwn = labels.map((label) => label === number ? 1 : 0);
    return { labels: isOwn, outputs: own, ranking: rank(own), classes: [], quantile };
  });
  return { labels, outputs, ranking: new Int32Array(0), classes: against, quantile };
}

function rank(outputs: Float64Array): Int32Array {
  const ranking = Int32Array.from(outputs, (_, index) => index);
  return ranking.sort((a, b) => outputs[b]! - outputs[a]! || a - b);
}

/** Every metric of the task that is defined on these rows, by name. */
export function evaluate(
  task: Task,
  rows: ScoredRows,
  weights: Float64Array = onceEach(rows),
): Partial<Record<Metric, number>> {
  const values: Partial<Record<Metric, number>> = {};
  for (const [name, metric] of Object.entries(METRICS) as [Metric, MetricSpec][]) {
    if (!metric.tasks.includes(task)) continue;
    const value = metric.compute(rows, weights);
    if (!Number.isNaN(value)) values[name] = value;
  }
  return values;
}

/** One metric over the rows. @throws {AppError} `invalid` where it is not defined, such as AUC on one class */
export function metricValue(metric: Metric, rows: ScoredRows): number {
  const value = METRICS[metric].compute(rows, onceEach(rows));
  if (Number.isNaN(value)) {
    throw invalid(
      `Cannot compute ${metric} over ${rows.labels.length} rows: ${
        metric === "mape" ? "no label may be 0" : "the labels must not all be the same"
      }`,
    );
  }
  return value;
}

const onceEach = (rows: ScoredRows) => new Float64Array(rows.labels.length).fill(1);

/**
 * The share of (positive, negative) pairs ranked rightly, ties counting half: the Mann-Whitney U statistic over
 * the number of pairs (Hanley and McNeil, "The meaning and use of the area under a ROC curve", 1982).
 */
function areaUnderRoc(rows: ScoredRows, weights: Float64Array): number {
  let positives = 0;
  let negatives = 0;
  let ordered = 0;
  forEachTie(rows, weights, (tiedPositives, tiedNegatives) => {
    ordered += tiedNegatives * (positives + tiedPositives / 2);
    positives += tiedPositives;
    negatives += tiedNegatives;
  });
  return ordered / (positives * negatives);
}

/**
 * The sum over thresholds of precision times the gain in recall, without interpolation (Zhu, "Recall, Precision
 * and Average Precision", 2004).
 */
function averagePrecision(rows: ScoredRows, weights: Float64Array): number {
  let positives = 0;
  let all = 0;
  let sum = 0;
  forEachTie(rows, weights, (tiedPositives, tiedNegatives) => {
    positives += tiedPositives;
    all += tiedPositives + tiedNegatives;
    if (all > 0) sum += tiedPositives * (positives / all);
  });
  return positives === all ? NaN : sum / positives;
}

/** Calls back for each group of equal outputs, highest first, with its weight of either label. */
function forEachTie(
  { labels, outputs, ranking }: ScoredRows,
  weights: Float64Array,
  visit: (positives: number, negatives: number) => void,
): void {
  let at = 0;
  while (at < ranking.length) {
    const output = outputs[ranking[at]!]!;
    let positives = 0;
    let negatives = 0;
    for (; at < ranking.length && outputs[ranking[at]!] === output; at++) {
      const row = ranking[at]!;
      if (labels[row] === 1) positives += weights[row]!;
      else negatives += weights[row]!;
    }
    visit(positives, negatives);
  }
}

/** The mean over the classes that occur and have an output, each against all others; of two classes the metric itself. */
function overClasses(compute: Compute): Compute {
  return (rows, weights) => {
    if (rows.classes.length === 0) return compute(rows, weights);
    const values = rows.classes.map((own) => compute(own, weights)).filter((value) => !Number.isNaN(value));
    return values.reduce((sum, value) => sum + value, 0) / values.length;
  };
}

const isKnown = (classes: readonly ScoredRows[], label: number) => label < classes.length;

/** The probability that a row's outputs give to its label. */
function likelihood({ labels, outputs, classes }: ScoredRows, row: number): number {
  if (classes.length > 0) {
    return isKnown(classes, labels[row]!) ? outputs[row * classes.length + labels[row]!]! : 0;
  }
  return labels[row] === 1 ? outputs[row]! : 1 - outputs[row]!;
}

/**
 * The mean negative log likelihood (Good, "Rational decisions", 1952). Probabilities of exactly 0 and 1 are moved
 * in by one float64 epsilon, so that a single wrong certainty is costly and not infinite.
 */
function logLoss(rows: ScoredRows, weights: Float64Array): number {
  return weightedMean(
    rows,
    weights,
    (row) => -Math.log(Math.min(1 - Number.EPSILON, Math.max(Number.EPSILON, likelihood(rows, row)))),
  );
}

/** Brier, "Verification of forecasts", 1950: of two classes the squared error of one, of more the sum over all. */
function brier(rows: ScoredRows, weights: Float64Array): number {
  if (rows.classes.length === 0) return meanSquaredError(rows, weights);
  const unknown = weightedMean(rows, weights, (row) => isKnown(rows.classes, rows.labels[row]!) ? 0 : 1);
  return rows.classes.reduce((sum, own) => sum + meanSquaredError(own, weights), unknown);
}

function meanSquaredError(rows: ScoredRows, weights: Float64Array): number {
  const { labels, outputs } = rows;
  return weightedMean(rows, weights, (row) => (labels[row]! - outputs[row]!) ** 2);
}

function meanAbsoluteError(rows: ScoredRows, weights: Float64Array): number {
  const { labels, outputs } = rows;
  return weightedMean(rows, weights, (row) => Math.abs(labels[row]! - outputs[row]!));
}

/** As a part of the label; not defined where a label is 0. */
function meanAbsolutePercentageError(rows: ScoredRows, weights: Float64Array): number {
  const { labels, outputs } = rows;
  return weightedMean(
    rows,
    weights,
    (row) => labels[row] === 0 ? NaN : Math.abs((labels[row]! - outputs[row]!) / labels[row]!),
  );
}

/** The loss whose mean the quantile minimises (Koenker and Bassett, "Regression quantiles", 1978). */
function pinballLoss(rows: ScoredRows, weights: Float64Array): number {
  const { labels, outputs, quantile } = rows;
  return weightedMean(rows, weights, (row) => {
    const missed = labels[row]! - outputs[row]!;
    return Math.max(quantile * missed, (quantile - 1) * missed);
  });
}

/** The class a row's outputs make the likeliest; of two, a probability of exactly 0.5 counts as label 1. */
export function likeliestClass({ outputs, classes }: ScoredRows, row: number): number {
  if (classes.length === 0) return outputs[row]! >= 0.5 ? 1 : 0;
  let best = 0;
  for (let number = 1; number < classes.length; number++) {
    if (outputs[row * classes.length + number]! > outputs[row * classes.length + best]!) best = number;
  }
  return best;
}

/** The share of rows whose label is the likeliest one. */
function accuracy(rows: ScoredRows, weights: Float64Array): number {
  return weightedMean(rows, weights, (row) => likeliestClass(rows, row) === rows.labels[row] ? 1 : 0);
}

/** The harmonic mean of precision and recall (van Rijsbergen, 1979), of several classes the mean over those that occur. */
function f1(rows: ScoredRows, weights: Float64Array): number {
  const { labels } = rows;
  const numbers = Math.max(2, rows.classes.length, countClasses(labels));
  const [said, is, both] = [0, 1, 2].map(() => new Float64Array(numbers)) as [
    Float64Array,
    Float64Array,
    Float64Array,
  ];
  for (let row = 0; row < labels.length; row++) {
    const label = labels[row]!;
    const answer = likeliestClass(rows, row);
    said[answer] = said[answer]! + weights[row]!;
    is[label] = is[label]! + weights[row]!;
    if (answer === label) both[label] = both[label]! + weights[row]!;
  }
  const judged = rows.classes.length === 0 ? [1] : [...is.keys()];
  const values = judged.filter((number) => is[number]! > 0)
    .map((number) => 2 * both[number]! / (said[number]! + is[number]!));
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

const CALIBRATION_BINS = 10;

/**
 * The mean distance between what is said and what happens, over ten bins of equal width (Guo and others, "On
 * calibration of modern neural networks", 2017, equation 3). Of several classes, of the likeliest one.
 */
function calibrationError(rows: ScoredRows, weights: Float64Array): number {
  const said = new Float64Array(CALIBRATION_BINS);
  const happened = new Float64Array(CALIBRATION_BINS);
  let total = 0;
  for (let row = 0; row < rows.labels.length; row++) {
    const isWide = rows.classes.length > 0;
    const answer = likeliestClass(rows, row);
    const confidence = isWide ? rows.outputs[row * rows.classes.length + answer]! : rows.outputs[row]!;
    const isTrue = isWide ? answer === rows.labels[row] : rows.labels[row] === 1;
    const bin = Math.max(0, Math.min(CALIBRATION_BINS - 1, Math.floor(confidence * CALIBRATION_BINS)));
    said[bin] = said[bin]! + weights[row]! * confidence;
    happened[bin] = happened[bin]! + (isTrue ? weights[row]! : 0);
    total += weights[row]!;
  }
  return said.reduce((sum, value, bin) => sum + Math.abs(value - happened[bin]!), 0) / total;
}

/** One minus the residual sum of squares over that of the mean (Wright, "Correlation and causation", 1921). */
function determination(rows: ScoredRows, weights: Float64Array): number {
  const mean = weightedMean(rows, weights, (row) => rows.labels[row]!);
  const variance = weightedMean(rows, weights, (row) => (rows.labels[row]! - mean) ** 2);
  return variance === 0 ? NaN : 1 - meanSquaredError(rows, weights) / variance;
}

function weightedMean({ labels }: ScoredRows, weights: Float64Array, term: (row: number) => number): number {
  let sum = 0;
  let total = 0;
  for (let row = 0; row < labels.length; row++) {
    const weight = weights[row]!;
    if (weight === 0) continue;
    sum += weight * term(row);
    total += weight;
  }
  return sum / total;
}
