/**
 * What a model is to the rest of the service: load, predict, unload. How it runs (a WASM instance in a thread that can
 * be ended, a walker of trees) is behind this.
 *
 * @module
 */
import type { ModelBatch, ModelShape } from "shared/onnx/model_batch.ts";

/** A model in memory. */
export type LoadedModel = ModelAtOnce | ModelInTurns;

/** A run costs nothing beyond its rows, and can't hang. */
export interface ModelAtOnce extends Model {
  /** As {@link predict}, within the call. */
  predictNow(batch: ModelBatch): Float32Array;
  readonly predictNext?: undefined;
}

/** A run costs much whatever its rows are, and takes time off: calls are collected while another one runs. */
export interface ModelInTurns extends Model {
  /** Asks for the batch only when its turn has come, and runs nothing where there is none. */
  predictNext(next: () => ModelBatch | undefined): Promise<Float32Array | undefined>;
  readonly predictNow?: undefined;
}

interface Model {
  /** Which implementation runs it, for metrics and answers about what is served. */
  readonly runtime: string;
  /** How many values it answers a row with. */
  readonly outputWidth: number;
  /**
   * @returns `outputWidth` values for each row
   * @throws {AppError} `timeout` when the run went over its limit, `internal` when the runtime fails
   */
  predict(batch: ModelBatch): Promise<Float32Array>;
  /** Frees its memory; the model can't predict any more. */
  unload(): Promise<void>;
}

/** @throws {RangeError} when the values are not so many rows: a mistake of the caller's code, not of a request */
export function refuseOtherShape({ rows, numbers, categories }: ModelBatch, shape: ModelShape): void {
  refuseOtherWidth(numbers, rows, shape.numbers);
  refuseOtherWidth(categories, rows, shape.categories);
}

function refuseOtherWidth({ length }: ArrayLike<unknown>, rows: number, width: number): void {
  if (length === rows * width) return;
  throw new RangeError(`Cannot predict: ${length} values are not ${rows} rows of ${width}`);
}
