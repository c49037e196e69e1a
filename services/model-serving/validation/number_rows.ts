/**
 * Batches of numbers alone, read in one pass. Whatever else is in one (a value that is missing, a text, a number beyond
 * float32, an unknown field) is for the row checker, which reads it once more and can tell of it. Pure.
 *
 * @module
 */
import { allFinite } from "./all_finite.ts";
import { type Given, GivenColumns } from "./given.ts";
import type { CheckedRows } from "./row_checker.ts";

/** Of fewer rows, buffers cost more to make than they save. */
const FEWEST_ROWS = 16;

/** @returns `undefined` where it is no such batch, as below */
export function numbersOfColumns(
  columns: Readonly<Record<string, unknown>>,
  names: readonly string[],
): CheckedRows | undefined {
  const lists = names.map((name) => columns[name]);
  const [first] = lists;
  if (!Array.isArray(first) || first.length < FEWEST_ROWS) return undefined;
  if (Object.keys(columns).length !== names.length) return undefined;
  const numbers = new Float32Array(first.length * names.length);
  for (const [column, list] of lists.entries()) {
    if (!Array.isArray(list) || list.length !== first.length) return undefined;
    if (!takeNumbers(list, { into: numbers, from: column, step: names.length })) return undefined;
  }
  return checked(first.length, numbers, new GivenColumns(lists as number[][]));
}

export function numbersOfRows(
  rows: readonly unknown[],
  names: readonly string[],
  columnOf: ReadonlyMap<string, number>,
): CheckedRows | undefined {
  if (rows.length < FEWEST_ROWS) return undefined;
  const width = names.length;
  const numbers = new Float32Array(rows.length * width);
  const given = new Float64Array(numbers.length);
  for (let row = 0, from = 0; row < rows.length; row++, from += width) {
    const fields = rows[row];
    if (typeof fields !== "object" || fields === null || Array.isArray(fields)) return undefined;
    let found = 0;
    // deno-lint-ignore guard-for-in -- objects of JSON inherit nothing, and to ask that of each field takes as long
    for (const name in fields) {
      // Most callers have an order, which is the signature's.
      const column = names[found] === name ? found : columnOf.get(name);
      const value = (fields as Record<string, unknown>)[name];
      if (column === undefined || typeof value !== "number") return undefined;
      numbers[from + column] = value;
      if (!Number.isFinite(numbers[from + column])) return undefined;
      given[from + column] = value;
      found++;
    }
    if (found !== width) return undefined;
  }
  return checked(rows.length, numbers, given);
}

/** @param values row after row, in the order of the features */
export function numbersOfMatrix(
  values: ArrayLike<unknown>,
  rows: number,
  width: number,
): CheckedRows | undefined {
  if (rows < FEWEST_ROWS || values.length !== rows * width) return undefined;
  if (values instanceof Float32Array) return allFinite(values) ? checked(rows, values, values) : undefined;
  const numbers = new Float32Array(values.length);
  const given = new Float64Array(values.length);
  for (let index = 0; index < values.length; index++) {
    const value = values[index];
    if (typeof value !== "number") return undefined;
    numbers[index] = value;
    if (!Number.isFinite(numbers[index])) return undefined;
    given[index] = value;
  }
  return checked(rows, numbers, given);
}

const checked = (rows: number, numbers: Float32Array, given: Given): CheckedRows => ({
  rows,
  numbers,
  categories: [],
  given,
  marks: new Map(),
});

/** @returns whether the column holds numbers alone, which are then each `step` places behind the one before */
function takeNumbers(
  values: readonly unknown[],
  { into, from, step }: { into: Float32Array; from: number; step: number },
): boolean {
  for (let index = 0, at = from; index < values.length; index++, at += step) {
    const value = values[index];
    if (typeof value !== "number") return false;
    into[at] = value;
    if (!Number.isFinite(into[at])) return false;
  }
  return true;
}
