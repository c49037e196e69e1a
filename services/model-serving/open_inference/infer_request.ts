/** A request of the Open Inference Protocol -> the call of the use case. @module */
import { z } from "zod";
import type { FeatureValue } from "shared/contracts/feature_store.ts";
import { MODEL_TENSORS, type Signature } from "shared/contracts/signature.ts";
import { invalid, messageOf, type Reason } from "shared/errors.ts";
import { shapeOf } from "shared/onnx/model_batch.ts";
import { invalidInput, parseWith } from "shared/validation.ts";
import type { Priority } from "../batching/batcher.ts";
import type { PredictCall } from "../predict_call.ts";
import type { CheckedRows, RowChecker } from "../validation/row_checker.ts";
import { outputsOf } from "./infer_response.ts";
import { DATATYPES, readBinaryValues, readJsonValues, type Tensor } from "./tensor.ts";

/** Rows of one request. */
const MAX_ROWS = 4_096;

const parameters = z.record(z.string(), z.union([z.string(), z.number(), z.boolean()]));

const inputSchema = z.object({
  name: z.string().min(1),
  datatype: z.enum(DATATYPES as [string, ...string[]]),
  shape: z.array(z.int().nonnegative()).min(1).max(2),
  parameters: parameters.optional(),
  /** Absent where the values stand behind the JSON. */
  data: z.unknown().optional(),
});

export const inferSchema = z.object({
  id: z.string().max(256).optional(),
  /** `priority` (1 high, 2 normal, above low), `timeout` (microseconds), `key` (tells callers apart), `binary_data_output`. */
  parameters: parameters.optional(),
  inputs: z.array(inputSchema).min(1),
  outputs: z.array(z.object({ name: z.string().min(1), parameters: parameters.optional() })).optional(),
});

export interface InferRequest {
  id: string | undefined;
  call: PredictCall;
  /** Names of the outputs that are wanted, and which of them as bytes; `undefined` for all. */
  outputs: readonly { name: string; binary: boolean }[] | undefined;
  /** Whether outputs that do not say come as bytes. */
  binaryOutput: boolean;
}

/**
 * Reads a body.
 *
 * @param headerLength how many bytes of it are JSON, when bytes of tensors follow
 * @throws {AppError} `invalid`, with every mistake and its path
 */
export function readInferRequest(
  body: Uint8Array,
  { model, version, headerLength }: { model: string; version?: number; headerLength: number | undefined },
): InferRequest {
  const json = headerLength === undefined ? body : body.subarray(0, headerLength);
  if (headerLength !== undefined && !(headerLength >= 0 && headerLength <= body.length)) {
    throw invalid(`Cannot infer: Inference-Header-Content-Length must be 0 to ${body.length}`);
  }
  const request = parseWith(inferSchema, parse(json), "infer");
  const tensors = readTensors(request.inputs, body.subarray(json.length));
  const rows = tensors[0]!.shape[0]!;
  const wanted = request.outputs?.map(({ name }) => name) ?? [];
  const { priority, timeout, key, binary_data_output: binaryOutput } = request.parameters ?? {};
  return {
    id: request.id,
    call: {
      model,
      version,
      priority: priorityOf(priority),
      timeoutMs: typeof timeout === "number" && timeout > 0 ? timeout / 1_000 : undefined,
      key: typeof key === "string" ? key : undefined,
      question: { rows, check: (checker) => layOut(tensors, { rows, wanted, checker }) },
    },
    outputs: request.outputs?.map(({ name, parameters }) => ({
      name,
      binary: (parameters?.["binary_data"] ?? binaryOutput) === true,
    })),
    binaryOutput: binaryOutput === true,
  };
}

function parse(json: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(json));
  } catch (error) {
    throw invalid(`Cannot infer: the body is not JSON: ${messageOf(error)}`);
  }
}

/** 1 is the highest, 0 the default. */
function priorityOf(value: unknown): Priority | undefined {
  if (typeof value !== "number" || value < 1) return undefined;
  return value === 1 ? "high" : value === 2 ? "normal" : "low";
}

/** The tensors with their values; those that stand behind the JSON follow each other. */
function readTensors(inputs: z.infer<typeof inferSchema>["inputs"], binary: Uint8Array): Tensor[] {
  const reasons: Reason[] = [];
  const tensors: Tensor[] = [];
  const names = new Set<string>();
  let offset = 0;
  const [first] = inputs;
  inputs.forEach(({ name, datatype, shape, parameters, data }, index) => {
    const size = parameters?.["binary_data_size"];
    const path = `/inputs/${index}`;
    const bytes = typeof size === "number" ? binary.subarray(offset, offset + size) : undefined;
    offset += bytes?.length ?? 0;
    if (names.has(name)) reasons.push({ path: `${path}/name`, message: `is "${name}" once more` });
    names.add(name);
    if (shape[0] !== first!.shape[0]) {
      reasons.push({
        path: `${path}/shape`,
        message: `begins with ${shape[0]} rows, and the first input has ${first!.shape[0]}`,
      });
      return;
    }
    if (shape[0]! < 1 || shape[0]! > MAX_ROWS) {
      reasons.push({ path: `${path}/shape`, message: `must begin with 1 to ${MAX_ROWS} rows` });
      return;
    }
    const read = bytes === undefined
      ? readJsonValues({ name, datatype, shape }, data, `${path}/data`)
      : readBinaryValues({ name, datatype, shape }, bytes, `${path}/data`);
    if ("values" in read) tensors.push(read);
    else reasons.push(read);
  });
  if (offset !== binary.length) {
    reasons.push({
      path: "",
      message: `has ${binary.length} bytes behind its JSON, and the inputs take ${offset}`,
    });
  }
  if (reasons.length > 0) throw invalidInput("infer", reasons);
  return tensors;
}

/**
 * The tensors by the signature: the graph's own (`features`, `categories`), or one a feature, by its name. The names of
 * the outputs that are wanted are looked at here too: what is refused must not have been predicted and logged before.
 *
 * @throws {AppError} `invalid`
 */
function layOut(
  tensors: readonly Tensor[],
  { rows, wanted, checker }: { rows: number; wanted: readonly string[]; checker: RowChecker },
): CheckedRows {
  const { signature } = checker;
  const reasons = unknownOutputs(wanted, signature);
  const sources = sourcesOf(tensors, signature, reasons);
  if (reasons.length > 0) throw invalidInput("infer", reasons);
  const [only] = tensors;
  const isWhole = tensors.length === 1 && only!.name === MODEL_TENSORS.numbers && only!.datatype !== "BOOL" &&
    shapeOf(signature).categories === 0;
  if (isWhole) return checker.matrix(only!.values, rows, "/inputs/features");
  const width = sources.length;
  const values = new Array<FeatureValue>(rows * width);
  sources.forEach((source, column) => {
    for (let row = 0; row < rows; row++) {
      values[row * width + column] = source === undefined ? null : source(row);
    }
  });
  return checker.matrix(values, rows, "/inputs");
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

type Source = (row: number) => FeatureValue;

function sourcesOf(
  tensors: readonly Tensor[],
  signature: Signature,
  reasons: Reason[],
): (Source | undefined)[] {
  const byName = new Map(tensors.map((tensor) => [tensor.name, tensor]));
  const shape = shapeOf(signature);
  const widths: Record<string, number> = {
    [MODEL_TENSORS.numbers]: shape.numbers,
    [MODEL_TENSORS.categories]: shape.categories,
  };
  const known = new Set<string>(signature.inputs.map(({ name }) => name));
  for (const { name, shape: [, columns = 1] } of tensors) {
    const width = widths[name] || (known.has(name) ? 1 : undefined);
    if (width === undefined) {
      const accepted = Object.entries(widths).filter(([, count]) => count > 0).map(([name]) => name);
      reasons.push({
        path: `/inputs/${name}`,
        message: `is no input of the model: it takes ${accepted.join(" and ")}, or its features by name`,
      });
    } else if (columns !== width) {
      reasons.push({ path: `/inputs/${name}/shape`, message: `has ${columns} columns, must have ${width}` });
    }
  }
  const next = { number: 0, category: 0 };
  return signature.inputs.map(({ name, type }) => {
    const place = next[type]++;
    const own = byName.get(name);
    const group = byName.get(type === "number" ? MODEL_TENSORS.numbers : MODEL_TENSORS.categories);
    const tensor = own ?? group;
    if (tensor === undefined) return undefined;
    const stride = own ? 1 : tensor.shape[1] ?? 1;
    const offset = own ? 0 : place;
    const { values, datatype } = tensor;
    const read: Source = (row) => values[row * stride + offset]!;
    return datatype === "BOOL" ? (row) => flagOf(read(row)) : read;
  });
}

/** Of bytes, and of the JSON of some clients, flags come as numbers; what is no flag is for the checker to refuse. */
const flagOf = (value: FeatureValue): FeatureValue => typeof value === "number" ? value !== 0 : value;
