/**
 * ONNX Runtime as WebAssembly. One `run` at a time in the whole process: runs that overlap corrupt the WASM
 * instance, whichever sessions they belong to (it keeps one stack around an await).
 *
 * Needs `--allow-read` of the package.
 *
 * @module
 */
// The main entry (WebAssembly alone under Deno), because `/wasm` can't be imported in a worker, where training runs.
import * as ort from "onnxruntime-web";
import { MODEL_TENSORS } from "../contracts/signature.ts";
import { AppError, invalid, messageOf } from "../errors.ts";
import type { ModelBatch, ModelShape } from "./model_batch.ts";

ort.env.wasm.numThreads = 1;
ort.env.logLevel = "error";

/** A model in memory. */
export interface LoadedModel {
  readonly shape: ModelShape;
  /**
   * @returns row after row, rows * outputs values
   * @throws {AppError} `internal` when the runtime fails; `unprocessable` when it takes too much memory
   */
  predict(batch: ModelBatch): Promise<Float32Array>;
  /** Frees its memory; the model can't predict any more. */
  unload(): Promise<void>;
}

/** The turn of whoever uses the instance next. */
let turn: Promise<unknown> = Promise.resolve();

function exclusively<T>(work: () => Promise<T>): Promise<T> {
  const result = turn.then(work);
  turn = result.catch(() => {});
  return result;
}

/**
 * Most memory of the instance, in pages of 64 KiB: 1 GiB, where the runtime itself would take 4. A small file of
 * operators that are all accepted can ask for any amount (a column times a row; a tensor beside itself, again and again),
 * and what WASM has taken it never gives back.
 */
const MAX_PAGES = 16_384;

class BoundedMemory extends WebAssembly.Memory {
  constructor(descriptor: WebAssembly.MemoryDescriptor) {
    super({ ...descriptor, maximum: Math.min(descriptor.maximum ?? MAX_PAGES, MAX_PAGES) });
  }
}

/**
 * While it starts, the runtime puts Node's `Worker` in the place of the global one, which others still need, makes its
 * memory, and compiles its code, unless that is given.
 */
async function createSession(file: Uint8Array, code?: WebAssembly.Module): Promise<ort.InferenceSession> {
  const { Worker } = globalThis;
  const { Memory, instantiate } = WebAssembly;
  WebAssembly.Memory = BoundedMemory;
  if (code !== undefined) {
    // In place of the bytes that it would read.
    ort.env.wasm.wasmBinary = new ArrayBuffer(0);
    const instead = async (_: unknown, imports: WebAssembly.Imports) => ({
      module: code,
      instance: await instantiate(code, imports),
    });
    Object.assign(WebAssembly, { instantiate: instead });
  }
  try {
    // Errors only: a model made elsewhere can be full of what the runtime warns of.
    return await ort.InferenceSession.create(file, { logSeverityLevel: 3 });
  } finally {
    globalThis.Worker = Worker;
    Object.assign(WebAssembly, { Memory, instantiate });
  }
}

export interface LoadOptions {
  /** The runtime's code, for a thread's first model: compiled once for many threads. Default: it compiles its own. */
  code?: WebAssembly.Module | undefined;
}

/**
 * Loads an ONNX file.
 *
 * @throws {AppError} `invalid` when the runtime can't load it, or its inputs and outputs are not those of the shape;
 * `unprocessable` when it takes too much memory
 */
export async function loadModel(
  file: Uint8Array,
  shape: ModelShape,
  { code }: LoadOptions = {},
): Promise<LoadedModel> {
  const session = await exclusively(() => createSession(file, code)).catch((error) => {
    if (isOutOfMemory(error)) throw tooGreedy("load the model");
    throw invalid(`Cannot load the model: the ONNX runtime refuses it: ${messageOf(error)}`);
  });
  const expected = [
    ...(shape.numbers > 0 ? [MODEL_TENSORS.numbers] : []),
    ...(shape.categories > 0 ? [MODEL_TENSORS.categories] : []),
  ];
  const [output, ...otherOutputs] = session.outputNames;
  const takesOthers = session.inputNames.toSorted().join() !== expected.toSorted().join();
  if (takesOthers || output === undefined || otherOutputs.length > 0) {
    await exclusively(() => session.release());
    throw invalid(
      `Cannot load the model: it has the inputs ${session.inputNames.join(", ")} and the outputs ` +
        `${session.outputNames.join(", ")}, and must have the inputs ${expected.join(", ")} and one output`,
    );
  }
  return {
    shape,
    async predict(batch) {
      const feeds = tensorsOf(batch, shape);
      const results = await exclusively(() => session.run(feeds)).catch((error) => {
        if (isOutOfMemory(error)) throw tooGreedy("predict");
        throw new AppError("internal", `Cannot predict: the ONNX runtime failed: ${messageOf(error)}`, {
          cause: error,
        });
      });
      const values = results[output]?.data;
      if (!(values instanceof Float32Array) || values.length !== batch.rows * shape.outputs) {
        throw new AppError(
          "internal",
          `Cannot predict: the output "${output}" is not ${shape.outputs} float32 for each row`,
        );
      }
      return values;
    },
    unload: () => exclusively(() => session.release()),
  };
}

const isOutOfMemory = (error: unknown) => /bad_alloc|out of memory/i.test(messageOf(error));

const tooGreedy = (action: string) =>
  new AppError(
    "unprocessable",
    `Cannot ${action}: it takes more memory than the ${MAX_PAGES / 16} MiB that a model may take`,
  );

function tensorsOf(
  { rows, numbers, categories }: ModelBatch,
  shape: ModelShape,
): Record<string, ort.Tensor> {
  const tensors: Record<string, ort.Tensor> = {};
  for (
    const [values, width] of [[numbers, shape.numbers], [categories, shape.categories]] as const
  ) {
    if (values.length === rows * width) continue;
    throw new RangeError(`Cannot predict: ${values.length} values are not ${rows} rows of ${width}`);
  }
  if (shape.numbers > 0) {
    tensors[MODEL_TENSORS.numbers] = new ort.Tensor("float32", numbers, [rows, shape.numbers]);
  }
  if (shape.categories > 0) {
    tensors[MODEL_TENSORS.categories] = new ort.Tensor("string", [...categories], [rows, shape.categories]);
  }
  return tensors;
}
