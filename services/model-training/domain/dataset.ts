import { invalid, type Reason } from "shared/errors.ts";
import type { ModelBatch } from "shared/onnx/model_batch.ts";
import { Random } from "./random.ts";

/**
 * Rows to learn from or to judge by, column by column. All arrays have `rows` elements; columns and labels lie in memory
 * that the threads of a fit can share.
 */
export interface Dataset {
  readonly rows: number;
  /** In the order of the model's inputs. */
  readonly featureNames: readonly string[];
  /**
   * One array a feature, float32 as the served model will see it. A number that is missing is NaN. A category is the
   * number (from 1) of its text in the feature's dictionary, 0 is missing.
   */
  readonly columns: readonly Float32Array[];
  /** Of each category its distinct texts; null for a number. */
  readonly dictionaries: readonly (readonly string[] | null)[];
  /** 0 or 1 for a binary task, the number of the class (from 0) for a multiclass one, else any finite number. */
  readonly labels: Float64Array;
  /** Names of the classes by their number; null where the labels are numbers of their own. */
  readonly classes: readonly string[] | null;
  /** T of each row, milliseconds since 1970. */
  readonly times: Float64Array;
  /** Canonical entity key of each row. */
  readonly entities: readonly string[];
}

/** A category as a training set's file holds it. */
export interface TextColumn {
  /** The position of each row's text in `categories`; NaN is missing. */
  readonly values: ArrayLike<number>;
  /** Distinct texts; the empty one is a missing value too. */
  readonly categories: readonly string[];
}

export interface DatasetInput {
  featureNames: readonly string[];
  /** Of numbers NaN is missing. */
  columns: readonly (ArrayLike<number> | TextColumn)[];
  labels: ArrayLike<number>;
  /** Of text labels: the texts, whose positions the labels are. */
  classes?: readonly string[] | undefined;
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
    ...columns.map((column, index): [string, number] => [
      featureNames[index]!,
      "categories" in column ? column.values.length : column.length,
    ]),
    ["times", times.length],
    ["entities", entities.length],
  ];
  for (const [path, length] of lengths) {
    if (length !== rows) reasons.push({ path, message: `has ${length} rows, the labels have ${rows}` });
  }
  if (reasons.length > 0) throw invalid("Cannot build the data set: its columns differ in length", reasons);

  const read = columns.map((column, index) =>
    "categories" in column
      ? readTexts(column, featureNames[index]!, reasons)
      : { column: roundColumn(column, featureNames[index]!, reasons), dictionary: null }
  );
  const checkedLabels = finiteColumn(labels, "label", reasons);
  const checkedTimes = finiteColumn(times, "time", reasons);
  if (reasons.length > 0) {
    throw invalid(
      `Cannot build the data set: ${reasons[0]!.path} ${reasons[0]!.message}`,
      reasons.slice(0, MAX_REASONS),
    );
  }
  return {
    rows,
    featureNames,
    columns: read.map(({ column }) => column),
    dictionaries: read.map(({ dictionary }) => dictionary),
    labels: checkedLabels,
    classes: input.classes ?? null,
    times: checkedTimes,
    entities,
  };
}

/** The given rows, in the given order. */
export function selectRows(dataset: Dataset, rows: Int32Array): Dataset {
  return {
    ...dataset,
    rows: rows.length,
    columns: dataset.columns.map((column) => floats(rows.length, (index) => column[rows[index]!]!)),
    labels: doubles(rows.length, (index) => dataset.labels[rows[index]!]!),
    times: doubles(rows.length, (index) => dataset.times[rows[index]!]!),
    entities: Array.from(rows, (row) => dataset.entities[row]!),
  };
}

/** At most so many of the rows, drawn by the seed: the first ones would be those of one time, or of one entity. */
export function sampleRows(dataset: Dataset, most: number, seed: number): Dataset {
  if (dataset.rows <= most) return dataset;
  return selectRows(dataset, new Random(seed).sample(dataset.rows, most));
}

/** A value as a caller would give it; null is missing. */
export function cellOf(
  { columns, dictionaries }: Dataset,
  feature: number,
  row: number,
): number | string | null {
  const value = columns[feature]![row]!;
  const dictionary = dictionaries[feature]!;
  if (dictionary !== null) return value === 0 ? null : dictionary[value - 1]!;
  return Number.isNaN(value) ? null : value;
}

/** Rows `from` (included) to `to` (not included) as a model's graph takes them. */
export function modelBatch(dataset: Dataset, from: number, to: number): ModelBatch {
  const rows = to - from;
  const { columns, dictionaries } = dataset;
  const features = [...columns.keys()];
  const ofNumbers = features.filter((feature) => dictionaries[feature] === null);
  const ofTexts = features.filter((feature) => dictionaries[feature] !== null);
  const numbers = new Float32Array(rows * ofNumbers.length);
  ofNumbers.forEach((feature, index) => {
    const column = columns[feature]!;
    for (let row = 0; row < rows; row++) numbers[row * ofNumbers.length + index] = column[from + row]!;
  });
  const categories = new Array<string>(rows * ofTexts.length);
  ofTexts.forEach((feature, index) => {
    const column = columns[feature]!;
    const dictionary = dictionaries[feature]!;
    for (let row = 0; row < rows; row++) {
      const code = column[from + row]!;
      categories[row * ofTexts.length + index] = code === 0 ? "" : dictionary[code - 1]!;
    }
  });
  return { rows, numbers, categories };
}

function readTexts({ values, categories }: TextColumn, name: string, reasons: Reason[]) {
  // The runtime would take such a text as ended by it.
  const bad = categories.find((text) => text.includes("\0"));
  if (bad !== undefined) {
    reasons.push({ path: name, message: `holds a text with the character NUL: ${JSON.stringify(bad)}` });
  }
  const column = floats(values.length, (row) => {
    const position = values[row]!;
    const isMissing = Number.isNaN(position) || categories[position] === "";
    return isMissing ? 0 : position + 1;
  });
  return { column, dictionary: categories };
}

function roundColumn(column: ArrayLike<number>, name: string, reasons: Reason[]): Float32Array {
  const isRounded = column instanceof Float32Array && column.buffer instanceof SharedArrayBuffer;
  const rounded = isRounded ? column : floats(column.length, (row) => column[row]!);
  for (let row = 0; row < column.length; row++) {
    if (Math.abs(rounded[row]!) !== Infinity) continue;
    reasons.push({
      path: name,
      message: `is ${column[row]} in row ${row}: a feature must be a finite float32 or missing`,
    });
    break;
  }
  return rounded;
}

/** Columns in memory that the threads of a fit can share. */
export function floats(length: number, value: (index: number) => number): Float32Array {
  const column = new Float32Array(new SharedArrayBuffer(4 * length));
  for (let index = 0; index < length; index++) column[index] = value(index);
  return column;
}

export function doubles(length: number, value: (index: number) => number): Float64Array {
  const column = new Float64Array(new SharedArrayBuffer(8 * length));
  for (let index = 0; index < length; index++) column[index] = value(index);
  return column;
}

function finiteColumn(column: ArrayLike<number>, name: string, reasons: Reason[]): Float64Array {
  const checked = doubles(column.length, (row) => column[row]!);
  const row = checked.findIndex((value) => !Number.isFinite(value));
  if (row >= 0) {
    reasons.push({ path: name, message: `is ${checked[row]} in row ${row}: it must be a finite number` });
  }
  return checked;
}
