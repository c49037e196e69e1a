import type { Hint } from "shared/contracts/model_training.ts";
import type { Task } from "shared/contracts/signature.ts";
import type { Dataset } from "./dataset.ts";
import { METRICS, scoreRows } from "./evaluation/metrics.ts";
import { youngerThanT } from "./younger_than_t.ts";

/** A feature that alone explains the label this well is more likely to know it than to foretell it. */
const SUSPICIOUS_AUC = 0.99;
const SUSPICIOUS_R2 = 0.98;
/** Ranges of a feature, by whose means of the label its R2 is judged. */
const RANGES = 50;

/**
 * What the training rows say against their features: those that explain the label alone, hold instants later than T,
 * have one value, or none.
 */
export function hintsOf(train: Dataset, task: Task): Hint[] {
  return train.featureNames.flatMap((feature, index) => {
    const values = valuesOf(train, index);
    const present = Int32Array.from(values, (_, row) => row).filter((row) => !Number.isNaN(values[row]));
    if (present.length === 0) {
      return [{
        kind: "missing",
        feature,
        value: null,
        message: `${feature} has no value in the training part`,
      }];
    }
    const first = values[present[0]!]!;
    if (present.length === values.length && values.every((value) => value === first)) {
      const message =
        `${feature} is ${first} in every row of the training part: nothing can be learnt from it`;
      return [{ kind: "constant", feature, value: null, message }];
    }
    return [
      ...explains(feature, { values, labels: train.labels, task }),
      ...youngerThanT(train, index),
    ] satisfies Hint[];
  });
}

/** Missing values as NaN. Of a category the mean of the label over the rows that have it stands for each text. */
function valuesOf(train: Dataset, feature: number): Float64Array {
  const column = train.columns[feature]!;
  const dictionary = train.dictionaries[feature]!;
  if (dictionary === null) return Float64Array.from(column);
  const sums = new Float64Array(dictionary.length + 1);
  const counts = new Float64Array(dictionary.length + 1);
  column.forEach((code, row) => {
    sums[code] = sums[code]! + train.labels[row]!;
    counts[code] = counts[code]! + 1;
  });
  return Float64Array.from(column, (code) => code === 0 ? NaN : sums[code]! / counts[code]!);
}

function explains(
  feature: string,
  { values, labels, task }: { values: Float64Array; labels: Float64Array; task: Task },
): Hint[] {
  if (task === "binary") {
    const auc = aucAlone(values, labels);
    if (auc < SUSPICIOUS_AUC) return [];
    const message = `${feature} alone has an AUC of ${auc.toFixed(4)}: it may know the label`;
    return [{ kind: "explains_label", feature, value: auc, message }];
  }
  const r2 = task === "multiclass" ? classR2Alone(values, labels) : r2Alone(values, labels);
  if (r2 < SUSPICIOUS_R2) return [];
  const message = `${feature} alone has an R2 of ${r2.toFixed(4)}: it may know the label`;
  return [{ kind: "explains_label", feature, value: r2, message }];
}

/** Of the better direction, missing values counted as the smallest, and as whether there is one. */
function aucAlone(values: Float64Array, labels: Float64Array): number {
  const filled = values.map((value) => Number.isNaN(value) ? -Number.MAX_VALUE : value);
  const isThere = values.map((value) => Number.isNaN(value) ? 0 : 1);
  const once = new Float64Array(labels.length).fill(1);
  const areas = [filled, isThere].map((outputs) => METRICS.auc.compute(scoreRows(labels, outputs), once));
  return Math.max(...areas.map((area) => Number.isNaN(area) ? 0.5 : Math.max(area, 1 - area)));
}

/**
 * How much of the label's variance the means of the label over ranges of equal content explain, missing values a range
 * of their own: also a relation that is no line shows.
 */
function r2Alone(values: Float64Array, labels: Float64Array): number {
  const order = Int32Array.from(values, (_, row) => row)
    .sort((a, b) => compare(values[a]!, values[b]!));
  const mean = labels.reduce((sum, label) => sum + label, 0) / labels.length;
  let within = 0;
  const size = Math.max(1, Math.ceil(order.length / RANGES));
  for (let first = 0; first < order.length;) {
    let end = Math.min(order.length, first + size);
    // Equal values belong together.
    while (end < order.length && compare(values[order[end]!]!, values[order[end - 1]!]!) === 0) end++;
    const rows = order.subarray(first, end);
    const own = rows.reduce((sum, row) => sum + labels[row]!, 0) / rows.length;
    within += rows.reduce((sum, row) => sum + (labels[row]! - own) ** 2, 0);
    first = end;
  }
  const total = labels.reduce((sum, label) => sum + (label - mean) ** 2, 0);
  // Ranges of a single row would explain everything.
  return total === 0 || order.length < 4 * RANGES ? 0 : 1 - within / total;
}

/** Of each class against all others, the mean. */
function classR2Alone(values: Float64Array, labels: Float64Array): number {
  const classes = [...new Set(labels)];
  const shares = classes.map((own) => r2Alone(values, labels.map((label) => label === own ? 1 : 0)));
  return shares.reduce((sum, share) => sum + share, 0) / classes.length;
}

/** Numbers in their order, NaN first. */
function compare(a: number, b: number): number {
  if (Number.isNaN(a) || Number.isNaN(b)) return Number(Number.isNaN(b)) - Number(Number.isNaN(a));
  return a - b;
}
