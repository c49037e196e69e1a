/** Labels as the numbers of classes. @module */
import type { Signature, Task } from "shared/contracts/signature.ts";
import { invalid } from "shared/errors.ts";
import { type Dataset, doubles } from "./dataset.ts";

/** A tree is grown for each class in each round, and each is a line of the confusion table. */
const MAX_CLASSES = 100;
/** Of a binary label that is a number. */
const FLAGS: readonly string[] = ["0", "1"];
/** Of a label that is a boolean, at the places 0 and 1. */
export const BOOLEANS: readonly string[] = ["false", "true"];

export interface ClassOrder {
  task: Task;
  /** The rows that a model is to learn from. */
  train: Int32Array;
  /** Of two texts the one whose probability the model answers; default: the last in text order. */
  positive?: string | undefined;
}

/**
 * Numbers the labels of a task of classes, in the order of the numbers or texts that they are: of a binary task 0 and 1,
 * of a multiclass one from 0 those that the training rows have. A class that only other rows have comes after them: no
 * model knows it, and none can answer it.
 *
 * @throws {AppError} `invalid` for labels that are no classes of the task, and for too many of them
 */
export function numberClasses(dataset: Dataset, { task, train, positive }: ClassOrder): Dataset {
  if (task === "regression") return requireNumbers(dataset);
  const all = classesAmong(dataset, allRows(dataset));
  if (all.length > MAX_CLASSES) {
    throw invalid(
      `Cannot learn from the training set: its label has ${all.length} classes, at most ${MAX_CLASSES} are accepted`,
    );
  }
  if (task === "multiclass") {
    if (positive !== undefined) {
      throw invalid(`Cannot take "${positive}" for the positive class: a multiclass task has none`);
    }
    return numberBy(dataset, classesAmong(dataset, train));
  }
  return numberBy(dataset, inOrder(flagsOf(dataset, all), positive));
}

function flagsOf(dataset: Dataset, all: readonly string[]): readonly string[] {
  if (dataset.classes === null) {
    requireFlags(dataset.labels, "training set");
    return FLAGS;
  }
  if (all.length <= 2) return all;
  throw invalid(
    `Cannot learn a binary model from the training set: its label has the classes ${
      listed(all)
    }, and must have two`,
  );
}

function inOrder(classes: readonly string[], positive: string | undefined): readonly string[] {
  if (positive === undefined) return classes;
  if (!classes.includes(positive)) {
    throw invalid(
      `Cannot take "${positive}" for the positive class: the classes of the label are ${listed(classes)}`,
    );
  }
  return [...classes.filter((name) => name !== positive), positive];
}

/**
 * Numbers the labels as a model does that was made before, and classes that it does not know after its own. Labels that
 * are numbers, none of which is the name of a class, are the places of the classes.
 *
 * @throws {AppError} `invalid` for labels that a model of the task can't be judged by
 */
export function numberLabels(
  dataset: Dataset,
  { task, classes }: Pick<Signature, "task" | "classes">,
): Dataset {
  if (task === "regression") return requireNumbers(dataset);
  const known = classes ?? FLAGS;
  // A model that was made when booleans were known as the flags that they are.
  const asFlags = areBooleans(dataset.classes) && known.every((name) => FLAGS.includes(name));
  const numbered = numberBy(asFlags ? { ...dataset, classes: null } : dataset, known);
  if (task === "multiclass") return numbered;
  const row = numbered.labels.findIndex((label) => label !== 0 && label !== 1);
  if (row < 0) return numbered;
  throw invalid(
    `Cannot judge the model: the label is ${
      namesOf(dataset)(dataset.labels[row]!)
    } in row ${row}, the classes of the ` +
      `model are ${listed(classes ?? FLAGS)}`,
  );
}

const areBooleans = (classes: Dataset["classes"]) => classes?.join() === BOOLEANS.join();

function requireNumbers(dataset: Dataset): Dataset {
  if (dataset.classes === null) return dataset;
  if (areBooleans(dataset.classes)) return { ...dataset, classes: null };
  throw invalid(
    `Cannot use the training set for a regression: its label is text, such as "${dataset.classes[0]}"`,
  );
}

function numberBy(dataset: Dataset, known: readonly string[]): Dataset {
  const found = classesAmong(dataset, allRows(dataset));
  const arePlaces = dataset.classes === null && !found.some((name) => known.includes(name));
  const classes = arePlaces ? known : [...known, ...found.filter((name) => !known.includes(name))];
  const nameOf = namesOf(dataset);
  // By label and not by name: there are many rows, and few labels.
  const numbers = new Map(
    labelsAmong(dataset, allRows(dataset)).map((label) => [label, classes.indexOf(nameOf(label))]),
  );
  return {
    ...dataset,
    classes,
    labels: arePlaces ? dataset.labels : doubles(dataset.rows, (row) => numbers.get(dataset.labels[row]!)!),
  };
}

/** The names of the classes that the labels of the training part have, in the order of their numbers. */
export function classNames({ labels, classes }: Dataset, task: Task): string[] | null {
  if (task === "regression") return null;
  const count = task === "binary" ? 2 : countClasses(labels);
  return Array.from({ length: count }, (_, number) => classes?.[number] ?? String(number));
}

/** How many classes the labels name: the largest number there is, and one. */
export const countClasses = (labels: Float64Array): number =>
  labels.reduce((most, label) => Math.max(most, label), 0) + 1;

/** @throws {AppError} `invalid` when a part has labels that are no class, or only one class */
export function requireUsableLabels(dataset: Dataset, task: Task, part: string): void {
  if (task === "regression") return;
  const { labels } = dataset;
  if (task === "binary") requireFlags(labels, `${part} part`);
  const row = labels.findIndex((label) => !(Number.isInteger(label) && label >= 0 && label < MAX_CLASSES));
  if (row >= 0) {
    throw invalid(
      `Cannot use the ${part} part: the label is ${
        labels[row]
      } in row ${row}, the number of a class must be a whole ` +
        `number from 0 to ${MAX_CLASSES - 1}`,
    );
  }
  if (labels.every((label) => label === labels[0])) {
    throw invalid(
      `Cannot use the ${part} part: all ${labels.length} rows have the label ${
        namesOf(dataset)(labels[0]!)
      }, ${task === "binary" ? "both" : "at least two"} must occur`,
    );
  }
}

function requireFlags(labels: Float64Array, part: string): void {
  const row = labels.findIndex((label) => label !== 0 && label !== 1);
  if (row < 0) return;
  throw invalid(
    `Cannot use the ${part}: the label is ${labels[row]} in row ${row}, a binary label must be 0 or 1`,
  );
}

/** Distinct ones, ascending. @throws {AppError} `invalid` for a number that is no class */
function classesAmong(dataset: Dataset, rows: Int32Array): string[] {
  const labels = labelsAmong(dataset, rows);
  const bad = dataset.classes === null ? labels.find((label) => !Number.isInteger(label)) : undefined;
  if (bad !== undefined) {
    throw invalid(
      `Cannot use the training set: the label is ${bad}, and a class is a whole number or a text`,
    );
  }
  const names = labels.map(namesOf(dataset));
  // Texts need not have been numbered in their order.
  return dataset.classes === null ? names : names.sort();
}

function labelsAmong({ labels }: Dataset, rows: Int32Array): number[] {
  const found = new Set<number>();
  for (const row of rows) found.add(labels[row]!);
  return [...found].sort((a, b) => a - b);
}

const namesOf = ({ classes }: Dataset) => (label: number): string => classes?.[label] ?? String(label);

const allRows = ({ rows }: Dataset) => Int32Array.from({ length: rows }, (_, row) => row);

const listed = (names: readonly string[]) => names.map((name) => `"${name}"`).join(", ");
