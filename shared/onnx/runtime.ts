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
   * @throws {AppError} `internal` when the runtime fails
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

/** While it starts, the runtime puts Node's `Worker` in the place of the global one, which others still need. */
async function createSession(file: Uint8Array): Promise<ort.InferenceSession> {
  const { Worker } = globalThis;
  try {
    // Errors only: a model made elsewhere can be full of what the runtime warns of.
    return await ort.InferenceSession.create(file, { logSeverityLevel: 3 });
  } finally {
    globalThis.Worker = Worker;
  }
}

/**
 * Loads an ONNX file.
 *
 * @throws {AppError} `invalid` when the runtime can't load it, or its inputs and outputs are not those of the shape
 */
export async function loadModel(file: Uint8Array, shape: ModelShape): Promise<LoadedModel> {
  const session = await exclusively(() => createSession(file)).catch((error) => {
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
