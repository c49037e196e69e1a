import type { Metric } from "shared/contracts/model_training.ts";
import { invalid } from "shared/errors.ts";
import { quantileOfSorted } from "../quantile.ts";
import { Random } from "../random.ts";
import { METRICS, type ScoredRows } from "./metrics.ts";

export interface BootstrapOptions {
  seed: number;
  /**
   * What a row belongs to, such as its entity; default: each row by itself. Rows of one customer resemble each
   * other, so resampling rows would pretend to more evidence than there is: whole groups are drawn instead.
   */
  groups?: readonly string[];
  /** Default: 400. */
  resamples?: number;
  /** Share of the resamples inside the interval; default: 0.95. */
  level?: number;
}

/** How often a resample without the label's variety is drawn again before giving up, per resample wanted. */
const MAX_REDRAWS = 20;

/**
 * The percentile interval of a metric over resamples with replacement (Efron, "Bootstrap methods", 1979; by groups:
 * Field and Welsh, "Bootstrapping clustered data", 2007). The same seed gives the same interval.
 *
 * @throws {AppError} `invalid` where the metric is not defined on most resamples, such as AUC with one positive
 */
export function bootstrapInterval(
  metric: Metric,
  rows: ScoredRows,
  options: BootstrapOptions,
): [number, number] {
  const { seed, groups, resamples = 400, level = 0.95 } = options;
  const { groupOf, count } = groups
    ? numberGroups(groups)
    : { groupOf: undefined, count: rows.labels.length };
  const random = new Random(seed);
  const drawn = new Float64Array(count);
  const weights = new Float64Array(rows.labels.length);
  const values = new Float64Array(resamples);
  for (let found = 0, tries = 0; found < resamples; tries++) {
    if (tries > resamples * MAX_REDRAWS) {
      throw invalid(
        `Cannot compute an interval of ${metric}: it is not defined on most resamples of the rows`,
      );
    }
    drawn.fill(0);
    for (let i = 0; i < count; i++) {
      const group = random.below(count);
      drawn[group] = drawn[group]! + 1;
    }
    for (let row = 0; row < weights.length; row++) weights[row] = drawn[groupOf ? groupOf[row]! : row]!;
    const value = METRICS[metric].compute(rows, weights);
    if (!Number.isNaN(value)) values[found++] = value;
  }
  values.sort();
  return [quantileOfSorted(values, (1 - level) / 2), quantileOfSorted(values, (1 + level) / 2)];
}

function numberGroups(groups: readonly string[]): { groupOf: Int32Array; count: number } {
  const numbers = new Map<string, number>();
  const groupOf = Int32Array.from(groups, (group) => {
    const number = numbers.get(group) ?? numbers.size;
    numbers.set(group, number);
    return number;
  });
  return { groupOf, count: numbers.size };
}
