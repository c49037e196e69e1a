import type { Dataset } from "../../dataset.ts";

/** Brings features to mean 0 and variance 1; a missing value becomes the mean, which is 0. */
export interface Standardiser {
  /** Of the values that are there; 0 where none is. */
  means: Float64Array;
  /** One over the standard deviation; 0 for a feature that does not vary, which then says nothing. */
  factors: Float64Array;
}

/** Learns means and deviations (of the population: divided by the number of values). */
export function fitStandardiser(dataset: Dataset): Standardiser {
  const means = new Float64Array(dataset.columns.length);
  const factors = new Float64Array(dataset.columns.length);
  dataset.columns.forEach((column, feature) => {
    const { mean, deviation } = moments(column);
    means[feature] = mean;
    factors[feature] = deviation > 0 ? 1 / deviation : 0;
  });
  return { means, factors };
}

/** All rows standardised, row by row: shape [rows, features]. */
export function standardise(dataset: Dataset, { means, factors }: Standardiser): Float64Array {
  const width = dataset.columns.length;
  const matrix = new Float64Array(dataset.rows * width);
  dataset.columns.forEach((column, feature) => {
    const mean = means[feature]!;
    const factor = factors[feature]!;
    for (let row = 0; row < dataset.rows; row++) {
      const value = column[row]!;
      matrix[row * width + feature] = Number.isNaN(value) ? 0 : (value - mean) * factor;
    }
  });
  return matrix;
}

function moments(column: Float32Array): { mean: number; deviation: number } {
  const present = column.filter((value) => !Number.isNaN(value));
  if (present.length === 0) return { mean: 0, deviation: 0 };
  const mean = present.reduce((sum, value) => sum + value, 0) / present.length;
  // Of equal float32 values the mean is exact, so that a constant has no deviation at all.
  const squares = present.reduce((sum, value) => sum + (value - mean) ** 2, 0);
  return { mean, deviation: Math.sqrt(squares / present.length) };
}
