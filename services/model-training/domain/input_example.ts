import type { InputExample } from "shared/contracts/model_training.ts";
import type { ModelInput, Signature } from "shared/contracts/signature.ts";
import type { ModelBatch } from "shared/onnx/model_batch.ts";
import { cellOf, type Dataset } from "./dataset.ts";

/** The first row that has every value, else the first one. */
export function exampleOf(dataset: Dataset): InputExample {
  const { featureNames, columns, rows } = dataset;
  const isComplete = (row: number) => columns.every((_, feature) => cellOf(dataset, feature, row) !== null);
  let row = 0;
  while (row < rows && !isComplete(row)) row++;
  const shown = row === rows ? 0 : row;
  return Object.fromEntries(featureNames.map((name, feature) => [name, cellOf(dataset, feature, shown)]));
}

/** The row as a model's graph takes it; without one, zeros and missing texts. */
export function exampleBatch(
  { inputs }: Pick<Signature, "inputs">,
  example: InputExample | null,
): ModelBatch {
  const valuesOf = (type: ModelInput["type"]) =>
    inputs.filter((input) => input.type === type).map(({ name }) =>
      example === null ? undefined : example[name] ?? null
    );
  return {
    rows: 1,
    numbers: Float32Array.from(valuesOf("number"), (value) => value === undefined ? 0 : Number(value ?? NaN)),
    categories: valuesOf("category").map((value) => String(value ?? "")),
  };
}
