import { encodeColumns, otherCode, type Vocabularies } from "../../encoding.ts";
import type { Dataset } from "../../dataset.ts";
import { momentsOf } from "./moments.ts";

/** Brings numbers to mean 0 and variance 1; a missing value becomes the mean, which is 0. */
export interface Standardiser {
  /** Which features are numbers, and which categories. */
  numbers: readonly number[];
  categories: readonly number[];
  /**
   * Of each number: the mean of the values that are there; 0 where none is. As a float32, which a missing value of a
   * column can be replaced by.
   */
  means: Float64Array;
  /** One over the standard deviation; 0 for a feature that does not vary, which then says nothing. */
  factors: Float64Array;
  /** Codes of each category. */
  codes: readonly number[];
}

/**
 * Rows as a linear model sees them: numbers standardised, of each category the flag of its code. It stays in columns, and
 * numbers are standardised where they are used: a matrix of rows would take longer to write than to multiply by.
 *
 * An output has a parameter for each number, one for each code of each category, and the intercept.
 */
export interface Design {
  rows: number;
  /** The raw numbers, with the mean where they are missing. */
  numbers: readonly Float32Array[];
  means: Float64Array;
  factors: Float64Array;
  /** Of each category the codes. */
  categories: readonly Uint8Array[];
  /** Of each category the parameter of code 0. */
  firsts: readonly number[];
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
    means: Float64Array.from(moments, ({ mean }) => Math.fround(mean)),
    factors: Float64Array.from(moments, ({ deviation }) => deviation > 0 ? 1 / deviation : 0),
    codes: categories.map((feature) => otherCode(vocabularies[feature]!) + 1),
  };
}

export function createDesign(
  dataset: Dataset,
  { vocabularies, standardiser }: { vocabularies: Vocabularies; standardiser: Standardiser },
): Design {
  const columns = encodeColumns(dataset, vocabularies);
  const { numbers, categories, means, factors, codes } = standardiser;
  const firsts: number[] = [];
  let parameters = numbers.length;
  for (const count of codes) {
    firsts.push(parameters);
    parameters += count;
  }
  return {
    rows: dataset.rows,
    numbers: numbers.map((feature, i) => withoutMissing(columns[feature]!, means[i]!)),
    means,
    factors,
    categories: categories.map((feature) => Uint8Array.from(columns[feature]!)),
    firsts,
    parameters: parameters + 1,
  };
}

function withoutMissing(column: Float32Array, mean: number): Float32Array {
  return column.includes(NaN) ? column.map((value) => value === value ? value : mean) : column;
}

/** The given rows of a design. */
export function selectDesignRows(design: Design, rows: Int32Array): Design {
  return {
    ...design,
    rows: rows.length,
    numbers: design.numbers.map((column) => selectInto(new Float32Array(rows.length), column, rows)),
    categories: design.categories.map((column) => selectInto(new Uint8Array(rows.length), column, rows)),
  };
}

function selectInto<Column extends Float32Array | Uint8Array>(
  selected: Column,
  column: Column,
  rows: Int32Array,
): Column {
  for (let i = 0; i < rows.length; i++) selected[i] = column[rows[i]!]!;
  return selected;
}
