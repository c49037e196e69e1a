import type { ClassReport, ErrorCosts } from "shared/contracts/model_training.ts";
import { invalid } from "shared/errors.ts";
import { countClasses } from "../classes.ts";
import { likeliestClass, type ScoredRows } from "./metrics.ts";

/**
 * `counts[actual][predicted]`, by the numbers of the classes; those that the model does not know are at the end.
 *
 * @param threshold of two classes; default: 0.5
 */
export function confusion(rows: ScoredRows, threshold = 0.5): number[][] {
  const classes = Math.max(2, rows.classes.length, countClasses(rows.labels));
  const counts = Array.from({ length: classes }, () => new Array<number>(classes).fill(0));
  for (let row = 0; row < rows.labels.length; row++) {
    const predicted = rows.classes.length > 0
      ? likeliestClass(rows, row)
      : rows.outputs[row]! >= threshold
      ? 1
      : 0;
    const own = counts[rows.labels[row]!]!;
    own[predicted] = own[predicted]! + 1;
  }
  return counts;
}

/**
 * The threshold of least cost on the rows, halfway between the outputs that it parts. Where several cost the same, the
 * highest.
 *
 * @throws {AppError} `invalid` for costs below 0, and for several classes
 */
export function cheapestThreshold(rows: ScoredRows, costs: ErrorCosts): number {
  const { labels, outputs, ranking } = rows;
  if (!(costs.falsePositive >= 0 && costs.falseNegative >= 0)) {
    throw invalid(
      `Cannot choose a threshold: the costs are ${costs.falsePositive} and ${costs.falseNegative}, they must be 0 or more`,
    );
  }
  if (rows.classes.length > 0) throw invalid("Cannot choose a threshold: there are more than two classes");
  const positives = labels.reduce((sum, label) => sum + label, 0);
  const costOf = (taken: number, right: number) =>
    costs.falsePositive * (taken - right) + costs.falseNegative * (positives - right);
  let best = { taken: 0, cost: costOf(0, 0) };
  let right = 0;
  for (let taken = 1; taken <= ranking.length; taken++) {
    const row = ranking[taken - 1]!;
    right += labels[row]!;
    const isTied = taken < ranking.length && outputs[ranking[taken]!] === outputs[row];
    if (isTied) continue;
    const cost = costOf(taken, right);
    if (cost < best.cost) best = { taken, cost };
  }
  const below = best.taken === ranking.length ? 0 : outputs[ranking[best.taken]!]!;
  if (best.taken === 0) return Math.max(1, below) + Number.EPSILON;
  return (outputs[ranking[best.taken - 1]!]! + below) / 2;
}

/** The threshold of least cost for outputs that are the probabilities they claim to be. */
export function calibratedThreshold({ falsePositive, falseNegative }: ErrorCosts): number {
  const both = falsePositive + falseNegative;
  return both === 0 ? 0.5 : falsePositive / both;
}

/** What comes of a threshold on the rows. */
export interface ThresholdReport {
  /** Mean cost of a row. */
  cost: number;
  precision: number;
  recall: number;
  f1: number;
}

/** @param table `confusion()` of a binary task */
export function thresholdReport(
  table: readonly (readonly number[])[],
  { falsePositive, falseNegative }: ErrorCosts,
): ThresholdReport {
  const [[right = 0, alarms = 0] = [], [missed = 0, found = 0] = []] = table;
  const share = (part: number, all: number) => all === 0 ? 0 : part / all;
  return {
    cost: (falsePositive * alarms + falseNegative * missed) / (right + alarms + missed + found),
    precision: share(found, found + alarms),
    recall: share(found, found + missed),
    f1: share(2 * found, 2 * found + alarms + missed),
  };
}

/**
 * How each class fares in a confusion table.
 *
 * @param names of the classes, in the order of the table
 * @param trained rows of each class in the training part
 */
export function classReport(
  table: readonly (readonly number[])[],
  { names, trained }: { names: readonly string[]; trained: ArrayLike<number> },
): ClassReport[] {
  const share = (part: number, all: number) => all === 0 ? null : part / all;
  return table.map((counts, number) => {
    const right = counts[number]!;
    const rows = counts.reduce((sum, count) => sum + count, 0);
    const answered = table.reduce((sum, counts) => sum + counts[number]!, 0);
    return {
      class: names[number] ?? String(number),
      trainRows: trained[number] ?? 0,
      rows,
      precision: share(right, answered),
      recall: share(right, rows),
      f1: share(2 * right, answered + rows),
    };
  });
}
