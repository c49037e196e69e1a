/** A request of the Open Inference Protocol -> the call of the use case. @module */
import { z } from "zod";
import { invalid, messageOf, type Reason } from "shared/errors.ts";
import { invalidInput, parseWith } from "shared/validation.ts";
import type { Priority } from "../batching/batcher.ts";
import type { PredictCall } from "../predict_call.ts";
import { layOut } from "./lay_out.ts";
import { DATATYPES, readBinaryValues, readJsonValues, type Tensor } from "./tensor.ts";

/** The header that says how many of the first bytes of a body are JSON, when the bytes of tensors follow. */
export const JSON_LENGTH = "Inference-Header-Content-Length";

/** Rows of one request. */
export const MAX_ROWS = 4_096;

const scalar = z.union([z.string(), z.number(), z.boolean()]);

/** What Triton's clients may ask of an output besides, and would wait for in vain. */
const notOffered = z.unknown().refine(() => false, "is not offered").meta({ not: {} }).optional();

const inputSchema = z.object({
  name: z.string().min(1),
  datatype: z.enum(DATATYPES as [string, ...string[]]),
  shape: z.array(z.int().nonnegative()).min(1).max(2),
  parameters: z.object({
    /** How many of the bytes behind the JSON are the tensor's. */
    binary_data_size: z.int().nonnegative().optional(),
  }).catchall(scalar).optional(),
  /** Absent where the values stand behind the JSON; of many rows the schema would take longer than their run. */
  data: z.unknown().optional().meta({ type: "array", items: {} }),
});

const outputSchema = z.object({
  name: z.string().min(1),
  parameters: z.object({
    binary_data: z.boolean().optional(),
    classification: notOffered,
    shared_memory_region: notOffered,
  }).catchall(scalar).optional(),
});

export const inferSchema = z.object({
  id: z.string().max(256).optional(),
  parameters: z.object({
    /** 1 is the highest, 2 normal, above low; 0 the default. */
    priority: z.int().nonnegative().optional(),
    /** How long the caller waits, in microseconds; 0 without end. */
    timeout: z.int().nonnegative().optional(),
    /** By what the call is assigned to an arm. */
    key: z.string().min(1).max(256).optional(),
    /** Whether outputs that do not say come as bytes. */
    binary_data_output: z.boolean().optional(),
  }).catchall(scalar).optional(),
  inputs: z.array(inputSchema).min(1),
  /** Default, and where it is empty: all. */
  outputs: z.array(outputSchema).optional(),
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
  const isLength = (length: number) => Number.isInteger(length) && length >= 0 && length <= body.length;
  if (headerLength !== undefined && !isLength(headerLength)) {
    throw invalid(`Cannot infer: ${JSON_LENGTH} must be 0 to ${body.length}`);
  }
  const request = parseWith(inferSchema, parse(json), "infer");
  const tensors = readTensors(request.inputs, body.subarray(json.length));
  const rows = tensors[0]!.shape[0]!;
  const outputs = request.outputs?.length === 0 ? undefined : request.outputs;
  const wanted = outputs?.map(({ name }) => name) ?? [];
  const { priority, timeout, key, binary_data_output: binaryOutput = false } = request.parameters ?? {};
  return {
    id: request.id,
    call: {
      model,
      version,
      priority: priorityOf(priority),
      timeoutMs: timeout === undefined || timeout === 0 ? undefined : timeout / 1_000,
      key,
      question: { rows, check: (checker) => layOut(tensors, { rows, wanted, checker }) },
    },
    outputs: outputs?.map(({ name, parameters }) => ({
      name,
      binary: parameters?.binary_data ?? binaryOutput,
    })),
    binaryOutput,
  };
}

function parse(json: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(json));
  } catch (error) {
    throw invalid(`Cannot infer: the body is not JSON: ${messageOf(error)}`);
  }
}

function priorityOf(value: number | undefined): Priority | undefined {
  if (value === undefined || value === 0) return undefined;
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
    const size = parameters?.binary_data_size;
    const path = `/inputs/${index}`;
    const bytes = size === undefined ? undefined : binary.subarray(offset, offset + size);
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
    if (bytes !== undefined && data !== undefined) {
      reasons.push({
        path: `${path}/data`,
        message: "stands beside binary_data_size: it must be one of them",
      });
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
