import type { InputExample } from "shared/contracts/model_training.ts";
import type { ModelInput, Signature } from "shared/contracts/signature.ts";
import type { ModelBatch } from "shared/onnx/model_batch.ts";
import type { Dataset } from "./dataset.ts";

/** The first row that has every value, else the first one. */
export function exampleOf(dataset: Dataset): InputExample {
  const { featureNames, columns, dictionaries, rows } = dataset;
  const valueOf = (feature: number, row: number): number | string | null => {
    const value = columns[feature]![row]!;
    const dictionary = dictionaries[feature]!;
    if (dictionary !== null) return value === 0 ? null : dictionary[value - 1]!;
    return Number.isNaN(value) ? null : value;
  };
  const isComplete = (row: number) => columns.every((_, feature) => valueOf(feature, row) !== null);
  let row = 0;
  while (row < rows && !isComplete(row)) row++;
  const shown = row === rows ? 0 : row;
  return Object.fromEntries(featureNames.map((name, feature) => [name, valueOf(feature, shown)]));
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
