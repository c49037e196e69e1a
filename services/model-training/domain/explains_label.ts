import type { Hint } from "shared/contracts/model_training.ts";
import type { Task } from "shared/contracts/signature.ts";
import type { Dataset } from "./dataset.ts";
import { METRICS, scoreRows } from "./evaluation/metrics.ts";
import { Random } from "./random.ts";

/** A feature that alone explains the label this well is more likely to know it than to foretell it. */
const SUSPICIOUS_AUC = 0.99;
const SUSPICIOUS_R2 = 0.98;
/** Ranges of a number, by whose means of the label its R2 is judged. */
const RANGES = 50;
const FOLDS = 5;
/** With fewer entities than this their rows are dealt out one by one: else a fold might be most of all rows. */
const MIN_ENTITIES = 4 * FOLDS;

/** The fold of each row: rows of one entity are in one, so that a name of the entity explains nothing. */
export function foldsOf({ entities, rows }: Dataset): Uint8Array {
  const random = new Random(1);
  const folds = new Map<string, number>();
  for (const entity of entities) if (!folds.has(entity)) folds.set(entity, random.below(FOLDS));
  return folds.size < MIN_ENTITIES
    ? Uint8Array.from({ length: rows }, () => random.below(FOLDS))
    : Uint8Array.from(entities, (entity) => folds.get(entity)!);
}

/**
 * Whether a feature alone explains the label: a number by its order, or by the means of the label over ranges of it; a
 * text by the means over its values. Means are those of other folds than the row's: a value that occurs once, such as an
 * id, explains nothing.
 *
 * @param folds of {@link foldsOf}
 */
export function explainsLabel(
  train: Dataset,
  feature: number,
  { task, folds }: { task: Task; folds: Uint8Array },
): Hint[] {
  const name = train.featureNames[feature]!;
  const found = task === "binary"
    ? { measure: "AUC", value: aucAlone(train, feature, folds), suspicious: SUSPICIOUS_AUC }
    : { measure: "R2", value: r2Alone(train, feature, { task, folds }), suspicious: SUSPICIOUS_R2 };
  const { measure, value, suspicious } = found;
  if (!(value >= suspicious)) return [];
  const message = `${name} alone has an ${measure} of ${value.toFixed(4)}: it may know the label`;
  return [{ kind: "explains_label", feature: name, value, message }];
}

/** Of a number that of the better direction, missing values counted as the smallest, and as whether there is one. */
function aucAlone({ columns, dictionaries, labels }: Dataset, feature: number, folds: Uint8Array): number {
  const column = columns[feature]!;
  const once = new Float64Array(labels.length).fill(1);
  const area = (outputs: Float64Array) => {
    const found = METRICS.auc.compute(scoreRows(labels, outputs), once);
    return Number.isNaN(found) ? 0.5 : found;
  };
  if (dictionaries[feature] !== null) return area(crossFittedMeans(column, labels, folds));
  const filled = Float64Array.from(column, (value) => Number.isNaN(value) ? -Number.MAX_VALUE : value);
  const isThere = Float64Array.from(column, (value) => Number.isNaN(value) ? 0 : 1);
  return Math.max(...[filled, isThere].map(area).flatMap((found) => [found, 1 - found]));
}

/** Of several classes the mean over each against all others. */
function r2Alone(
  { columns, dictionaries, labels }: Dataset,
  feature: number,
  { task, folds }: { task: Task; folds: Uint8Array },
): number {
  const column = columns[feature]!;
  const codes = dictionaries[feature] === null ? rangesOf(column) : column;
  if (task === "regression") return crossFittedR2(codes, labels, folds);
  const classes = [...new Set(labels)];
  const shares = classes.map((own) =>
    crossFittedR2(codes, labels.map((label) => label === own ? 1 : 0), folds)
  );
  return shares.reduce((sum, share) => sum + share, 0) / classes.length;
}

/** The number of each value's range. Ranges are of about equal content; missing values are one of their own. */
function rangesOf(values: Float32Array): Float64Array {
  const order = Int32Array.from(values, (_, row) => row).sort((a, b) => compare(values[a]!, values[b]!));
  const ranges = new Float64Array(values.length);
  const size = Math.max(1, Math.ceil(order.length / RANGES));
  for (let first = 0, range = 0; first < order.length; range++) {
    let end = Math.min(order.length, first + size);
    // Equal values belong together.
    while (end < order.length && compare(values[order[end]!]!, values[order[end - 1]!]!) === 0) end++;
    for (; first < end; first++) ranges[order[first]!] = range;
  }
  return ranges;
}

/** Numbers in their order, NaN first. */
function compare(a: number, b: number): number {
  if (Number.isNaN(a) || Number.isNaN(b)) return Number(Number.isNaN(b)) - Number(Number.isNaN(a));
  return a - b;
}

/** How much of the label's variance the means explain, below 0 where they say less than the mean of all. */
function crossFittedR2(codes: ArrayLike<number>, labels: Float64Array, folds: Uint8Array): number {
  const mean = labels.reduce((sum, label) => sum + label, 0) / labels.length;
  const total = labels.reduce((sum, label) => sum + (label - mean) ** 2, 0);
  const means = crossFittedMeans(codes, labels, folds);
  const left = labels.reduce((sum, label, row) => sum + (label - means[row]!) ** 2, 0);
  return total === 0 ? 0 : 1 - left / total;
}

/** Of each row the mean label over the rows of other folds with the same code; without one, the mean of all rows. */
function crossFittedMeans(codes: ArrayLike<number>, labels: Float64Array, folds: Uint8Array): Float64Array {
  let largest = 0;
  for (let row = 0; row < codes.length; row++) largest = Math.max(largest, codes[row]!);
  const all = sumsBy(codes, labels, { largest, has: () => true });
  const mean = labels.reduce((sum, label) => sum + label, 0) / labels.length;
  const means = new Float64Array(labels.length);
  for (let fold = 0; fold < FOLDS; fold++) {
    const own = sumsBy(codes, labels, { largest, has: (row) => folds[row] === fold });
    for (let row = 0; row < labels.length; row++) {
      if (folds[row] !== fold) continue;
      const code = codes[row]!;
      const rows = all.rows[code]! - own.rows[code]!;
      means[row] = rows === 0 ? mean : (all.sums[code]! - own.sums[code]!) / rows;
    }
  }
  return means;
}

function sumsBy(
  codes: ArrayLike<number>,
  labels: Float64Array,
  { largest, has }: { largest: number; has(row: number): boolean },
): { sums: Float64Array; rows: Float64Array } {
  const sums = new Float64Array(largest + 1);
  const rows = new Float64Array(largest + 1);
  for (let row = 0; row < labels.length; row++) {
    if (!has(row)) continue;
    const code = codes[row]!;
    sums[code] = sums[code]! + labels[row]!;
    rows[code] = rows[code]! + 1;
  }
  return { sums, rows };
}
