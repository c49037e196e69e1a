/** The products of a design with a vector, from either side, for a block of rows. @module */
import type { Design } from "./design.ts";

/** Rows of a block: few enough that their values are still in the cache when the gradient follows the scores. */
export const BLOCK_ROWS = 256;

/**
 * Adds the scores of the rows from `from` on to `scores`, for as many rows as it has.
 *
 * @param parameters those of one output
 */
export function addScores(
  design: Design,
  parameters: Float64Array,
  from: number,
  scores: Float64Array,
): void {
  const { numbers, means, factors, categories, firsts } = design;
  const intercept = parameters[design.parameters - 1]!;
  for (let row = 0; row < scores.length; row++) scores[row] = scores[row]! + intercept;
  for (let i = 0; i < numbers.length; i += 2) {
    // The last of an odd number of columns goes with itself, which has no weight the second time.
    const j = Math.min(i + 1, numbers.length - 1);
    const weight = parameters[i]! * factors[i]!;
    const otherWeight = j === i ? 0 : parameters[j]! * factors[j]!;
    addPair(scores, from, numbers[i]!, means[i]!, weight, numbers[j]!, means[j]!, otherWeight);
  }
  for (let c = 0; c < categories.length; c++) {
    const codes = categories[c]!;
    const first = firsts[c]!;
    for (let row = 0; row < scores.length; row++) {
      scores[row] = scores[row]! + parameters[first + codes[from + row]!]!;
    }
  }
}

/**
 * Adds the rows from `from` on to `gradient`, each times its residual.
 *
 * @param gradient that of one output
 */
export function addRows(design: Design, residuals: Float64Array, from: number, gradient: Float64Array): void {
  const { numbers, means, factors, categories, firsts } = design;
  for (let i = 0; i < numbers.length; i += 2) {
    const j = Math.min(i + 1, numbers.length - 1);
    dotPair(residuals, from, numbers[i]!, means[i]!, numbers[j]!, means[j]!);
    gradient[i] = gradient[i]! + factors[i]! * sums[0]!;
    if (j > i) gradient[j] = gradient[j]! + factors[j]! * sums[1]!;
  }
  for (let c = 0; c < categories.length; c++) {
    const codes = categories[c]!;
    const first = firsts[c]!;
    for (let row = 0; row < residuals.length; row++) {
      const at = first + codes[from + row]!;
      gradient[at] = gradient[at]! + residuals[row]!;
    }
  }
  let sum = 0;
  for (let row = 0; row < residuals.length; row++) sum += residuals[row]!;
  gradient[design.parameters - 1] = gradient[design.parameters - 1]! + sum;
}

// Two columns at a time: half the loads and stores of the scores, and two sums that need not wait for each other.

function addPair(
  scores: Float64Array,
  from: number,
  column: Float32Array,
  mean: number,
  weight: number,
  otherColumn: Float32Array,
  otherMean: number,
  otherWeight: number,
): void {
  for (let row = 0; row < scores.length; row++) {
    scores[row] = scores[row]! + weight * (column[from + row]! - mean) +
      otherWeight * (otherColumn[from + row]! - otherMean);
  }
}

/** What dotPair() has found: returned in an object, it would have to be made each time. */
const sums = new Float64Array(2);

function dotPair(
  residuals: Float64Array,
  from: number,
  column: Float32Array,
  mean: number,
  otherColumn: Float32Array,
  otherMean: number,
): void {
  let sum = 0;
  let otherSum = 0;
  for (let row = 0; row < residuals.length; row++) {
    const residual = residuals[row]!;
    sum += residual * (column[from + row]! - mean);
    otherSum += residual * (otherColumn[from + row]! - otherMean);
  }
  sums[0] = sum;
  sums[1] = otherSum;
}
