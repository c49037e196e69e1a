import type { Task } from "shared/contracts/signature.ts";
import { invalid, type Reason } from "shared/errors.ts";

/** Rows to learn from or to judge by, column by column. All arrays have `rows` elements. */
export interface Dataset {
  readonly rows: number;
  /** In the order of the model's inputs. */
  readonly featureNames: readonly string[];
  /** One array a feature. Each value is exactly a float32, as the served model will see it; NaN is missing. */
  readonly columns: readonly Float64Array[];
  /** 0 or 1 for a binary task, any finite number for a regression. */
  readonly labels: Float64Array;
  /** T of each row, milliseconds since 1970. */
  readonly times: Float64Array;
  /** Canonical entity key of each row. */
  readonly entities: readonly string[];
}

export interface DatasetInput {
  featureNames: readonly string[];
  /** NaN is missing. */
  columns: readonly ArrayLike<number>[];
  labels: ArrayLike<number>;
  times: ArrayLike<number>;
  entities: readonly string[];
}

/** How many mistakes of a data set are listed before the rest is only counted by its absence. */
const MAX_REASONS = 20;

/**
 * Checks the rows and rounds the features to float32. Trainers must see the rounded values: a threshold between a
 * float64 and its float32 neighbour would send a row one way in training and the other way when served.
 *
 * @throws {AppError} `invalid` when it is empty, when lengths differ, when a feature is infinite (or becomes so as
 * a float32) or when a label or time is not finite; the reasons name columns and rows
 */
export function createDataset(input: DatasetInput): Dataset {
  const { featureNames, columns, labels, times, entities } = input;
  const rows = labels.length;
  const reasons: Reason[] = [];
  if (featureNames.length === 0) throw invalid("Cannot build the data set: it has no feature");
  if (rows === 0) throw invalid("Cannot build the data set: it has no row");
  const repeated = featureNames.find((name, index) => featureNames.indexOf(name) !== index);
  if (repeated !== undefined) {
    throw invalid(`Cannot build the data set: the feature "${repeated}" occurs twice`);
  }
  if (columns.length !== featureNames.length) {
    throw invalid(
      `Cannot build the data set: ${featureNames.length} features have ${columns.length} columns`,
    );
  }
  const lengths: [string, number][] = [
    ...columns.map((column, index): [string, number] => [featureNames[index]!, column.length]),
    ["times", times.length],
    ["entities", entities.length],
  ];
  for (const [path, length] of lengths) {
    if (length !== rows) reasons.push({ path, message: `has ${length} rows, the labels have ${rows}` });
  }
  if (reasons.length > 0) throw invalid("Cannot build the data set: its columns differ in length", reasons);

  const rounded = columns.map((column, index) => roundColumn(column, featureNames[index]!, reasons));
  const checkedLabels = finiteColumn(labels, "label", reasons);
  const checkedTimes = finiteColumn(times, "time", reasons);
  if (reasons.length > 0) {
    throw invalid(
      `Cannot build the data set: ${reasons[0]!.path} ${reasons[0]!.message}`,
      reasons.slice(0, MAX_REASONS),
    );
  }
  return { rows, featureNames, columns: rounded, labels: checkedLabels, times: checkedTimes, entities };
}

/** The given rows, in the given order. */
export function selectRows(dataset: Dataset, rows: Int32Array): Dataset {
  const pick = (column: Float64Array) => Float64Array.from(rows, (row) => column[row]!);
  return {
    rows: rows.length,
    featureNames: dataset.featureNames,
    columns: dataset.columns.map(pick),
    labels: pick(dataset.labels),
    times: pick(dataset.times),
    entities: Array.from(rows, (row) => dataset.entities[row]!),
  };
}

/** Rows `from` (included) to `to` (not included) as a float32 matrix of shape [to - from, features]. */
export function featureMatrix(dataset: Dataset, from: number, to: number): Float32Array {
  const width = dataset.columns.length;
  const matrix = new Float32Array((to - from) * width);
  dataset.columns.forEach((column, feature) => {
    for (let row = from; row < to; row++) matrix[(row - from) * width + feature] = column[row]!;
  });
  return matrix;
}

/** @throws {AppError} `invalid` when a binary part has labels other than 0 and 1, or only one of them */
export function requireUsableLabels(labels: Float64Array, task: Task, part: string): void {
  if (task !== "binary") return;
  let positive = 0;
  for (const [row, label] of labels.entries()) {
    if (label !== 0 && label !== 1) {
      throw invalid(
        `Cannot use the ${part} part: the label is ${label} in row ${row}, a binary label must be 0 or 1`,
      );
    }
    positive += label;
  }
  if (positive === 0 || positive === labels.length) {
    throw invalid(
      `Cannot use the ${part} part: all ${labels.length} rows have the label ${
        positive === 0 ? 0 : 1
      }, both must occur`,
    );
  }
}

function roundColumn(column: ArrayLike<number>, name: string, reasons: Reason[]): Float64Array {
  const rounded = new Float64Array(column.length);
  for (let row = 0; row < column.length; row++) {
    const value = Math.fround(column[row]!);
    if (value === Infinity || value === -Infinity) {
      reasons.push({
        path: name,
        message: `is ${column[row]} in row ${row}: a feature must be a finite float32 or missing`,
      });
      return rounded;
    }
    rounded[row] = value;
  }
  return rounded;
}

function finiteColumn(column: ArrayLike<number>, name: string, reasons: Reason[]): Float64Array {
  const checked = Float64Array.from(column);
  const row = checked.findIndex((value) => !Number.isFinite(value));
  if (row >= 0) {
    reasons.push({ path: name, message: `is ${checked[row]} in row ${row}: it must be a finite number` });
  }
  return checked;
}
