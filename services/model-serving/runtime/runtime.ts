/**
 * What a model is to the rest of the service: load, predict, unload. How it runs (a WASM instance in a thread that can
 * be ended, a walker of trees) is behind this.
 *
 * @module
 */
import type { ModelBatch, ModelShape } from "shared/onnx/model_batch.ts";

/** A model in memory. */
export interface LoadedModel {
  /** Which implementation runs it, for metrics and answers about what is served. */
  readonly runtime: string;
  /** How many values it answers a row with. */
  readonly outputWidth: number;
  /**
   * @returns `outputWidth` values for each row
   * @throws {AppError} `timeout` when the run went over its limit, `internal` when the runtime fails
   */
  predict(batch: ModelBatch): Promise<Float32Array>;
  /**
   * Asks for the batch only when its turn has come, and runs nothing where there is none. Absent where calls are not
   * worth collecting: one costs nothing beyond its rows and ends within it.
   */
  readonly predictNext?:
    | ((next: () => ModelBatch | undefined) => Promise<Float32Array | undefined>)
    | undefined;
  /** Frees its memory; the model can't predict any more. */
  unload(): Promise<void>;
}

/** @throws {RangeError} when the values are not so many rows: a mistake of the caller's code, not of a request */
export function refuseOtherShape({ rows, numbers, categories }: ModelBatch, shape: ModelShape): void {
  for (const [values, width] of [[numbers, shape.numbers], [categories, shape.categories]] as const) {
    if (values.length === rows * width) continue;
    throw new RangeError(`Cannot predict: ${values.length} values are not ${rows} rows of ${width}`);
  }
}
