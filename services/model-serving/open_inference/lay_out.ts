/** Tensors -> rows by the signature of the version that answers. @module */
import type { FeatureValue } from "shared/contracts/feature_store.ts";
import { MODEL_TENSORS, type ModelInput, type Signature } from "shared/contracts/signature.ts";
import type { Reason } from "shared/errors.ts";
import { shapeOf } from "shared/onnx/model_batch.ts";
import { invalidInput } from "shared/validation.ts";
import type { CheckedRows, RowChecker, Tell } from "../validation/row_checker.ts";
import { outputsOf } from "./infer_response.ts";
import type { Tensor } from "./tensor.ts";

/**
 * The tensors by the signature: the graph's own (`features`, `categories`), or one a feature, by its name. The names of
 * the outputs that are wanted are looked at here too: what is refused must not have been predicted and logged before.
 *
 * @throws {AppError} `invalid`
 */
export function layOut(
  tensors: readonly Tensor[],
  { rows, wanted, checker }: { rows: number; wanted: readonly string[]; checker: RowChecker },
): CheckedRows {
  const { signature } = checker;
  const reasons = unknownOutputs(wanted, signature);
  const sources = sourcesOf(tensors, signature, reasons);
  if (reasons.length > 0) throw invalidInput("infer", reasons);
  const tell: Tell = (row, name, message) =>
    reasonOf(sources[checker.names.indexOf(name)]!, { row, name, message });
  const [only] = tensors;
  const isWhole = tensors.length === 1 && only!.name === MODEL_TENSORS.numbers && only!.datatype !== "BOOL" &&
    shapeOf(signature).categories === 0;
  if (isWhole) return checker.matrix(only!.values, rows, tell);
  const width = sources.length;
  const values = new Array<FeatureValue>(rows * width);
  sources.forEach((source, column) => {
    for (let row = 0; row < rows; row++) {
      values[row * width + column] = source === undefined ? null : valueAt(source, row);
    }
  });
  return checker.matrix(values, rows, tell);
}

function unknownOutputs(wanted: readonly string[], signature: Signature): Reason[] {
  const known = outputsOf(signature).map(({ name }) => name);
  return wanted.flatMap((name, index) =>
    known.includes(name) ? [] : [{
      path: `/outputs/${index}/name`,
      message: `is "${name}", and the model has ${known.join(" and ")}`,
    }]
  );
}

/** Where a feature stands in the tensors. */
interface Source {
  tensor: Tensor;
  /** Of the tensor among the inputs. */
  index: number;
  /** Its column in the tensor; `undefined` where the tensor is its own. */
  column: number | undefined;
}

/** @returns one for each input of the signature; `undefined` where no tensor holds it, and none needs to */
function sourcesOf(
  tensors: readonly Tensor[],
  signature: Signature,
  reasons: Reason[],
): (Source | undefined)[] {
  const places = new Map(tensors.map(({ name }, index) => [name, index]));
  const shape = shapeOf(signature);
  const groups = new Map<string, number>();
  if (shape.numbers > 0) groups.set(MODEL_TENSORS.numbers, shape.numbers);
  if (shape.categories > 0) groups.set(MODEL_TENSORS.categories, shape.categories);
  const known = new Set<string>(signature.inputs.map(({ name }) => name));
  tensors.forEach(({ name, shape: [, columns = 1] }, index) => {
    const width = groups.get(name) ?? (known.has(name) ? 1 : undefined);
    if (width === undefined) {
      reasons.push({
        path: `/inputs/${index}/name`,
        message: `is "${name}": the model takes ${[...groups.keys()].join(" and ")}, or its features by name`,
      });
    } else if (columns !== width) {
      reasons.push({ path: `/inputs/${index}/shape`, message: `has ${columns} columns, must have ${width}` });
    }
  });
  const next = { number: 0, category: 0 };
  return signature.inputs.map((input) => {
    const column = next[input.type]++;
    const own = places.get(input.name);
    if (own !== undefined) return { tensor: tensors[own]!, index: own, column: undefined };
    const group = groupOf(input);
    const index = places.get(group);
    if (index !== undefined) return { tensor: tensors[index]!, index, column };
    if (input.nulls === "refuse") {
      const message = `must hold "${group}" or "${input.name}", which may not be missing`;
      reasons.push({ path: "/inputs", message });
    }
    return undefined;
  });
}

const groupOf = ({ type }: ModelInput) =>
  type === "number" ? MODEL_TENSORS.numbers : MODEL_TENSORS.categories;

function placeOf({ tensor: { shape: [, columns = 1] }, column = 0 }: Source, row: number): number {
  return row * columns + column;
}

function valueAt(source: Source, row: number): FeatureValue {
  const { values, datatype } = source.tensor;
  const value = values[placeOf(source, row)]!;
  // Of bytes, and of the JSON of some clients, flags come as numbers; what is no flag is for the checker to refuse.
  return datatype === "BOOL" && typeof value === "number" ? value !== 0 : value;
}

/** A place in a tensor of several features does not say which of them it is. */
function reasonOf(
  source: Source,
  { row, name, message }: { row: number; name: string; message: string },
): Reason {
  const { tensor, index, column } = source;
  const place = tensor.isNested ? `${row}/${column ?? 0}` : String(placeOf(source, row));
  return {
    path: `/inputs/${index}/data/${place}`,
    message: column === undefined ? message : `(${name}) ${message}`,
  };
}
