import type { GoldenRows, ModelInput } from "shared/contracts/signature.ts";
import { cellOf, type Dataset } from "./dataset.ts";
import { Random } from "./random.ts";

/** As many as say that a runtime reads the file as it was meant; each costs some bytes of it, and a part of a load. */
const MOST_ROWS = 5;

/**
 * Some of the rows with their answers, for the file to carry: whoever serves it can see whether it answers alike there.
 * Rows that a server would refuse, since a value is missing that never was in training, are none of them.
 *
 * @param answers [rows, outputs]
 */
export function goldenRowsOf(
  dataset: Dataset,
  answers: Float64Array,
  { inputs, seed }: { inputs: readonly ModelInput[]; seed: number },
): GoldenRows {
  const { rows, columns } = dataset;
  const needed = inputs.flatMap(({ nulls }, feature) => nulls === "refuse" ? [feature] : []);
  const usable = Int32Array.from({ length: rows }, (_, row) => row)
    .filter((row) => needed.every((feature) => cellOf(dataset, feature, row) !== null));
  const chosen = [...new Random(seed).sample(usable.length, Math.min(MOST_ROWS, usable.length))]
    .map((index) => usable[index]!);
  const outputs = answers.length / rows;
  return {
    rows: chosen.map((row) => columns.map((_, feature) => cellOf(dataset, feature, row))),
    outputs: chosen.map((row) => [...answers.subarray(row * outputs, (row + 1) * outputs)]),
  };
}
