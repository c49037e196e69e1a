import type { Metric } from "shared/contracts/model_training.ts";
import type { Task } from "shared/contracts/signature.ts";
import { invalid } from "shared/errors.ts";

/** Labels with a model's outputs for the same rows. */
export interface ScoredRows {
  labels: Float64Array;
  /** Probabilities of the label 1, or values. */
  outputs: Float64Array;
  /** Row numbers, highest output first: the metrics that rank share one sort. */
  ranking: Int32Array;
}

/** Sums over rows in which row i counts `weights[i]` times; NaN where the metric is not defined on the rows. */
type Compute = (rows: ScoredRows, weights: Float64Array) => number;

interface MetricSpec {
  task: Task;
  /** Which way is better. */
  better: "higher" | "lower";
  compute: Compute;
}

/** Every metric a model can be judged by. */
export const METRICS: Readonly<Record<Metric, MetricSpec>> = {
  auc: { task: "binary", better: "higher", compute: areaUnderRoc },
  "average_precision": { task: "binary", better: "higher", compute: averagePrecision },
  "log_loss": { task: "binary", better: "lower", compute: logLoss },
  brier: { task: "binary", better: "lower", compute: meanSquaredError },
  accuracy: { task: "binary", better: "higher", compute: accuracy },
  rmse: { task: "regression", better: "lower", compute: (rows, w) => Math.sqrt(meanSquaredError(rows, w)) },
  mae: { task: "regression", better: "lower", compute: meanAbsoluteError },
  r2: { task: "regression", better: "higher", compute: determination },
};

/**
 * Pairs labels with outputs.
 *
 * @throws {AppError} `invalid` when the lengths differ, there is no row, or an output is not a finite number
 */
export function scoreRows(labels: Float64Array, outputs: Float64Array): ScoredRows {
  if (labels.length === 0) throw invalid("Cannot evaluate: there are no rows");
  if (labels.length !== outputs.length) {
    throw invalid(`Cannot evaluate: ${labels.length} labels have ${outputs.length} outputs`);
  }
  const row = outputs.findIndex((output) => !Number.isFinite(output));
  if (row >= 0) {
    throw invalid(`Cannot evaluate: the output is ${outputs[row]} in row ${row}, it must be finite`);
  }
  const ranking = Int32Array.from(outputs, (_, index) => index);
  ranking.sort((a, b) => outputs[b]! - outputs[a]! || a - b);
  return { labels, outputs, ranking };
}

/** Every metric of the task that is defined on these rows, by name. */
export function evaluate(task: Task, rows: ScoredRows): Partial<Record<Metric, number>> {
  const once = onceEach(rows);
  const values: Partial<Record<Metric, number>> = {};
  for (const [name, metric] of Object.entries(METRICS) as [Metric, MetricSpec][]) {
    if (metric.task !== task) continue;
    const value = metric.compute(rows, once);
    if (!Number.isNaN(value)) values[name] = value;
  }
  return values;
}

/** One metric over the rows. @throws {AppError} `invalid` where it is not defined, such as AUC on one class */
export function metricValue(metric: Metric, rows: ScoredRows): number {
  const value = METRICS[metric].compute(rows, onceEach(rows));
  if (Number.isNaN(value)) {
    throw invalid(
      `Cannot compute ${metric} over ${rows.labels.length} rows: the labels must not all be the same`,
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

/**
 * The mean negative log likelihood (Good, "Rational decisions", 1952). Probabilities of exactly 0 and 1 are moved
 * in by one float64 epsilon, so that a single wrong certainty is costly and not infinite.
 */
function logLoss(rows: ScoredRows, weights: Float64Array): number {
  return weightedMean(rows, weights, (label, probability) => {
    const clipped = Math.min(1 - Number.EPSILON, Math.max(Number.EPSILON, probability));
    return label === 1 ? -Math.log(clipped) : -Math.log1p(-clipped);
  });
}

/** Over probabilities this is the Brier score (Brier, "Verification of forecasts", 1950). */
function meanSquaredError(rows: ScoredRows, weights: Float64Array): number {
  return weightedMean(rows, weights, (label, output) => (label - output) ** 2);
}

function meanAbsoluteError(rows: ScoredRows, weights: Float64Array): number {
  return weightedMean(rows, weights, (label, output) => Math.abs(label - output));
}

/** The share of rows whose label is the likelier one; a probability of exactly 0.5 counts as label 1. */
function accuracy(rows: ScoredRows, weights: Float64Array): number {
  return weightedMean(rows, weights, (label, probability) => (probability >= 0.5 ? 1 : 0) === label ? 1 : 0);
}

/** One minus the residual sum of squares over that of the mean (Wright, "Correlation and causation", 1921). */
function determination(rows: ScoredRows, weights: Float64Array): number {
  const mean = weightedMean(rows, weights, (label) => label);
  const variance = weightedMean(rows, weights, (label) => (label - mean) ** 2);
  return variance === 0 ? NaN : 1 - meanSquaredError(rows, weights) / variance;
}

function weightedMean(
  { labels, outputs }: ScoredRows,
  weights: Float64Array,
  term: (label: number, output: number) => number,
): number {
  let sum = 0;
  let total = 0;
  for (let row = 0; row < labels.length; row++) {
    const weight = weights[row]!;
    if (weight === 0) continue;
    sum += weight * term(labels[row]!, outputs[row]!);
    total += weight;
  }
  return sum / total;
}
