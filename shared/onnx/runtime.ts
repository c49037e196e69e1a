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
import { AppError, invalid, messageOf } from "../errors.ts";

ort.env.wasm.numThreads = 1;
ort.env.logLevel = "error";

/** A model in memory: one float32 input [rows, width], one float32 output with a value for each row. */
export interface LoadedModel {
  readonly width: number;
  /**
   * @param features row after row, rows * width long
   * @returns one value for each row
   * @throws {AppError} `internal` when the runtime fails
   */
  predict(features: Float32Array, rows: number): Promise<Float32Array>;
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
    return await ort.InferenceSession.create(file);
  } finally {
    globalThis.Worker = Worker;
  }
}

/**
 * Loads an ONNX file.
 *
 * @param width how many features a row has
 * @throws {AppError} `invalid` when the runtime can't load it, or it has not exactly one input and one output
 */
export async function loadModel(file: Uint8Array, width: number): Promise<LoadedModel> {
  const session = await exclusively(() => createSession(file)).catch((error) => {
    throw invalid(`Cannot load the model: the ONNX runtime refuses it: ${messageOf(error)}`);
  });
  const [input, ...otherInputs] = session.inputNames;
  const [output, ...otherOutputs] = session.outputNames;
  if (input === undefined || output === undefined || otherInputs.length > 0 || otherOutputs.length > 0) {
    await exclusively(() => session.release());
    throw invalid(
      `Cannot load the model: it has the inputs ${session.inputNames.join(", ")} and the outputs ` +
        `${session.outputNames.join(", ")}, and must have one of each`,
    );
  }
  return {
    width,
    async predict(features, rows) {
      if (features.length !== rows * width) {
        throw new RangeError(`Cannot predict: ${features.length} values are not ${rows} rows of ${width}`);
      }
      const feeds = { [input]: new ort.Tensor("float32", features, [rows, width]) };
      const results = await exclusively(() => session.run(feeds)).catch((error) => {
        throw new AppError("internal", `Cannot predict: the ONNX runtime failed: ${messageOf(error)}`, {
          cause: error,
        });
      });
      const values = results[output]?.data;
      if (!(values instanceof Float32Array) || values.length !== rows) {
        throw new AppError(
          "internal",
          `Cannot predict: the output "${output}" is not one float32 for each row`,
        );
      }
      return values;
    },
    unload: () => exclusively(() => session.release()),
  };
}
