/** Which rows of a data set are learnt from, tell when to stop, and are judged on. @module */
import type { Split } from "shared/contracts/model_training.ts";
import type { Task } from "shared/contracts/signature.ts";
import { durationToMs } from "shared/contracts/time.ts";
import { invalid } from "shared/errors.ts";
import type { Dataset } from "./dataset.ts";
import { Random } from "./random.ts";
import { splitByTime, type TimeSplit } from "./split.ts";

export interface SplitContext {
  task: Task;
  /** The label of a row at T looks at (T, T + horizon]. */
  horizonMs: number;
  seed: number;
}

/** Row numbers of one fit of a cross-validation. */
export interface Fold {
  fit: Int32Array;
  judge: Int32Array;
}

/** Ranges of a regression's label that a stratified split keeps in equal shares. */
const LABEL_RANGES = 10;

/**
 * Splits as the model declares it. The same rows and seed give the same parts.
 *
 * @throws {AppError} `invalid` when a part would be empty
 */
export function splitRows(dataset: Dataset, split: Split, context: SplitContext): TimeSplit {
  if (split.by === "time") {
    return splitByTime(dataset.times, {
      horizonMs: context.horizonMs,
      testMs: durationToMs(split.test),
      ...(split.validation === undefined ? {} : { validationMs: durationToMs(split.validation) }),
    });
  }
  const units = unitsOf(dataset, split.by, { ...context, rows: allRows(dataset) });
  const [test, validation, train] = shareOut(dataset.rows, units, [split.test, split.validation ?? 0]);
  for (const [part, rows] of Object.entries({ training: train!, test: test! })) {
    if (rows.length === 0) {
      throw invalid(`Cannot split ${dataset.rows} rows by ${split.by}: the ${part} part is empty`);
    }
  }
  const at = (rows: Int32Array, pick: (a: number, b: number) => number, from: number) =>
    rows.reduce((found, row) => pick(found, dataset.times[row]!), from);
  return {
    train: train!,
    validation: validation!,
    test: test!,
    dropped: 0,
    trainUntil: at(train!, Math.max, -Infinity),
    testFrom: at(test!, Math.min, Infinity),
    testUntil: at(test!, Math.max, -Infinity),
  };
}

/**
 * The fits of a cross-validation among the given rows, none of which belong to the test part.
 *
 * By time, the rows are cut into `folds` + 1 spans of about equally many; each but the first is judged by a fit on what
 * lies before it, less the rows whose label was not settled by its first T. Else each part is judged by a fit on all
 * others.
 *
 * @throws {AppError} `invalid` when a part would be empty
 */
export function foldRows(
  dataset: Dataset,
  rows: Int32Array,
  { by, folds, ...context }: SplitContext & { by: Split["by"]; folds: number },
): Fold[] {
  const made = by === "time"
    ? timeFolds(dataset.times, rows, { folds, horizonMs: context.horizonMs })
    : partFolds(unitsOf(dataset, by, { ...context, rows }), rows, folds);
  const empty = made.find(({ fit, judge }) => fit.length === 0 || judge.length === 0);
  if (made.length < folds || empty !== undefined) {
    throw invalid(`Cannot make ${folds} folds by ${by} of ${rows.length} rows: one of them would be empty`);
  }
  return made;
}

function timeFolds(
  times: Float64Array,
  rows: Int32Array,
  { folds, horizonMs }: { folds: number; horizonMs: number },
): Fold[] {
  const sorted = Float64Array.from(rows, (row) => times[row]!).sort();
  // Equal times belong together.
  const borders = Array.from(
    { length: folds },
    (_, index) => sorted[Math.floor((index + 1) * sorted.length / (folds + 1))]!,
  );
  return borders.map((from, index) => {
    const until = borders[index + 1] ?? Infinity;
    return {
      fit: rows.filter((row) => times[row]! < from && times[row]! + horizonMs <= from),
      judge: rows.filter((row) => times[row]! >= from && times[row]! < until),
    };
  });
}

function partFolds(units: readonly Unit[], rows: Int32Array, folds: number): Fold[] {
  const partOf = new Map<number, number>();
  const dealt = new Map<number, number>();
  // Each stratum is dealt out by itself, so that each part gets its share of it.
  for (const { rows, stratum } of units) {
    const count = dealt.get(stratum) ?? 0;
    dealt.set(stratum, count + 1);
    // The next stratum begins where another part is behind.
    for (const row of rows) partOf.set(row, (count + stratum) % folds);
  }
  return Array.from({ length: folds }, (_, part) => ({
    fit: rows.filter((row) => partOf.get(row) !== part),
    judge: rows.filter((row) => partOf.get(row) === part),
  }));
}

interface UnitContext extends SplitContext {
  rows: Int32Array;
}

/** Rows that stay together. */
interface Unit {
  rows: Int32Array;
  /** The number of what must be in equal shares in each part. */
  stratum: number;
}

/** In an order drawn so that any stretch is like the whole. */
function unitsOf(dataset: Dataset, by: "group" | "stratified", context: UnitContext): Unit[] {
  const random = new Random(context.seed);
  if (by === "group") {
    const groups = Map.groupBy(context.rows, (row) => dataset.entities[row]!);
    return shuffled(
      [...groups.values()].map((rows) => ({ rows: Int32Array.from(rows), stratum: 0 })),
      random,
    );
  }
  const strata = strataOf(dataset.labels, context);
  // Each stratum is spread evenly over the order.
  return strata
    .flatMap((rows, stratum) =>
      shuffled(rows, random).map((row, index) => {
        const place = (index + random.uniform()) / rows.length;
        return { rows: Int32Array.of(row), stratum, place };
      })
    )
    .toSorted((one, other) => one.place - other.place);
}

function strataOf(labels: Float64Array, { rows, task }: UnitContext): number[][] {
  if (task !== "regression") return [...Map.groupBy(rows, (row) => labels[row]!).values()];
  const order = [...rows].toSorted((a, b) => labels[a]! - labels[b]!);
  return Array.from(
    { length: LABEL_RANGES },
    (_, range) =>
      order.slice(
        Math.floor(range * order.length / LABEL_RANGES),
        Math.floor((range + 1) * order.length / LABEL_RANGES),
      ),
  ).filter((stratum) => stratum.length > 0);
}

/** @returns row numbers for each share, in their order, and the rest */
function shareOut(rows: number, units: readonly Unit[], shares: readonly number[]): Int32Array[] {
  const parts: number[][] = [...shares, 0].map(() => []);
  let part = 0;
  for (const unit of units) {
    while (part < shares.length && parts[part]!.length >= Math.round(shares[part]! * rows)) part++;
    parts[part]!.push(...unit.rows);
  }
  return parts.map((part) => Int32Array.from(part).sort());
}

const allRows = (dataset: Dataset) => Int32Array.from({ length: dataset.rows }, (_, row) => row);

/** Fisher and Yates' shuffle. */
function shuffled<Item>(items: readonly Item[], random: Random): Item[] {
  const order = [...items];
  for (let last = order.length - 1; last > 0; last--) {
    const other = random.below(last + 1);
    [order[last], order[other]] = [order[other]!, order[last]!];
  }
  return order;
}
