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

/** A threshold from which on a row counts as positive, and what came of it on the rows. */
export interface ThresholdChoice {
  threshold: number;
  /** Mean cost of a row. */
  cost: number;
  precision: number;
  recall: number;
  f1: number;
}

/**
 * The threshold of least cost on the rows, halfway between the outputs that it parts. Where several cost the same, the
 * highest.
 *
 * @throws {AppError} `invalid` for costs below 0, and for several classes
 */
export function cheapestThreshold(rows: ScoredRows, costs: ErrorCosts): ThresholdChoice {
  const { labels, outputs, ranking } = rows;
  if (!(costs.falsePositive >= 0 && costs.falseNegative >= 0)) {
    throw invalid(
      `Cannot choose a threshold: the costs are ${costs.falsePositive} and ${costs.falseNegative}, they must be 0 or more`,
    );
  }
  if (rows.classes.length > 0) throw invalid("Cannot choose a threshold: there are more than two classes");
  const positives = labels.reduce((sum, label) => sum + label, 0);
  const choice = (taken: number, right: number): ThresholdChoice => {
    const missed = positives - right;
    const above = taken === 0 ? 1 : outputs[ranking[taken - 1]!]!;
    const below = taken === ranking.length ? 0 : outputs[ranking[taken]!]!;
    return {
      threshold: taken === 0 ? Math.max(1, below) + Number.EPSILON : (above + below) / 2,
      cost: (costs.falsePositive * (taken - right) + costs.falseNegative * missed) / ranking.length,
      precision: taken === 0 ? 0 : right / taken,
      recall: positives === 0 ? 0 : right / positives,
      f1: taken + positives === 0 ? 0 : 2 * right / (taken + positives),
    };
  };
  let best = choice(0, 0);
  let right = 0;
  for (let taken = 1; taken <= ranking.length; taken++) {
    const row = ranking[taken - 1]!;
    right += labels[row]!;
    const isTied = taken < ranking.length && outputs[ranking[taken]!] === outputs[row];
    if (isTied) continue;
    const found = choice(taken, right);
    if (found.cost < best.cost) best = found;
  }
  return best;
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
