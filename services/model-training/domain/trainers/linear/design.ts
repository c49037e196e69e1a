import { encodeColumns, otherCode, type Vocabularies } from "../../encoding.ts";
import type { Dataset } from "../../dataset.ts";

/** Brings numbers to mean 0 and variance 1; a missing value becomes the mean, which is 0. */
export interface Standardiser {
  /** Which features are numbers, and which categories. */
  numbers: readonly number[];
  categories: readonly number[];
  /** Of each number: the mean of the values that are there; 0 where none is. */
  means: Float64Array;
  /** One over the standard deviation; 0 for a feature that does not vary, which then says nothing. */
  factors: Float64Array;
  /** Codes of each category. */
  codes: readonly number[];
}

/**
 * Rows as a linear model sees them: numbers standardised, of each category the flag of its code, which is kept as the
 * place of the flag. The last parameter is the intercept.
 */
export interface Design {
  rows: number;
  /** Shape [rows, numbers], row by row. */
  values: Float64Array;
  numbers: number;
  /** Shape [rows, categories]: the parameter that a row's flag stands for. */
  flags: Int32Array;
  categories: number;
  /** Parameters of one output, the intercept included. */
  parameters: number;
}

/** Learns means and deviations (of the population: divided by the number of values). */
export function fitStandardiser(columns: readonly Float32Array[], vocabularies: Vocabularies): Standardiser {
  const features = [...vocabularies.keys()];
  const numbers = features.filter((feature) => vocabularies[feature] === null);
  const categories = features.filter((feature) => vocabularies[feature] !== null);
  const moments = numbers.map((feature) => momentsOf(columns[feature]!));
  return {
    numbers,
    categories,
    means: Float64Array.from(moments, ({ mean }) => mean),
    factors: Float64Array.from(moments, ({ deviation }) => deviation > 0 ? 1 / deviation : 0),
    codes: categories.map((feature) => otherCode(vocabularies[feature]!) + 1),
  };
}

/** Columns are turned into rows so many at a time: what is written of them stays in the cache until they are whole. */
const BLOCK_ROWS = 128;

export function createDesign(
  dataset: Dataset,
  { vocabularies, standardiser }: { vocabularies: Vocabularies; standardiser: Standardiser },
): Design {
  const columns = encodeColumns(dataset, vocabularies);
  const { numbers, categories, means, factors, codes } = standardiser;
  const { rows } = dataset;
  const width = numbers.length;
  const values = new Float64Array(rows * width);
  for (let from = 0; from < rows; from += BLOCK_ROWS) {
    const end = Math.min(from + BLOCK_ROWS, rows);
    numbers.forEach((feature, index) => {
      const column = columns[feature]!;
      const mean = means[index]!;
      const factor = factors[index]!;
      for (let row = from, at = from * width + index; row < end; row++, at += width) {
        const value = column[row]!;
        values[at] = value === value ? (value - mean) * factor : 0;
      }
    });
  }
  const flags = new Int32Array(rows * categories.length);
  let first = width;
  categories.forEach((feature, index) => {
    const column = columns[feature]!;
    for (let row = 0; row < rows; row++) flags[row * categories.length + index] = first + column[row]!;
    first += codes[index]!;
  });
  return { rows, values, numbers: width, flags, categories: categories.length, parameters: first + 1 };
}

function momentsOf(column: Float32Array): { mean: number; deviation: number } {
  let count = 0;
  let sum = 0;
  for (let row = 0; row < column.length; row++) {
    const value = column[row]!;
    if (value === value) {
      sum += value;
      count++;
    }
  }
  if (count === 0) return { mean: 0, deviation: 0 };
  // Of equal float32 values the mean is exact, so that a constant has no deviation at all.
  const mean = sum / count;
  let squares = 0;
  for (let row = 0; row < column.length; row++) {
    const value = column[row]!;
    if (value === value) squares += (value - mean) * (value - mean);
  }
  return { mean, deviation: Math.sqrt(squares / count) };
}
