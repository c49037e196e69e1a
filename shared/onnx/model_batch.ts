/** Rows as the platform's models take them. @module */
import { outputWidth, type Signature } from "../contracts/signature.ts";

/** How many values a row has in each of the graph's tensors. */
export interface ModelShape {
  numbers: number;
  categories: number;
  outputs: number;
}

export interface ModelBatch {
  rows: number;
  /** Row after row, rows * numbers long; NaN is missing. */
  numbers: Float32Array;
  /** Row after row, rows * categories long; the empty text is missing. */
  categories: readonly string[];
}

/** Copies of the rows from one to the one before another. */
export function rowsOf(
  { numbers, categories }: ModelBatch,
  { from, to }: { from: number; to: number },
  shape: ModelShape,
): ModelBatch {
  return {
    rows: to - from,
    numbers: numbers.slice(from * shape.numbers, to * shape.numbers),
    categories: categories.slice(from * shape.categories, to * shape.categories),
  };
}

/** The shape of a model's tensors by its signature. */
export function shapeOf(signature: Pick<Signature, "inputs" | "output" | "classes">): ModelShape {
  const numbers = signature.inputs.filter(({ type }) => type === "number").length;
  return { numbers, categories: signature.inputs.length - numbers, outputs: outputWidth(signature) };
}
