/**
 * What a model is to the rest of the service: load, predict, unload. How it runs (a WASM instance in a thread that can
 * be ended, a walker of trees) is behind this.
 *
 * @module
 */

/** Rows as a model takes them, laid out by its signature. */
export interface ModelRows {
  readonly rows: number;
  /** The inputs of type number, row after row; what is missing is NaN. */
  readonly numbers: Float32Array;
  /** The inputs of type category, row after row; what is missing is the empty text. */
  readonly categories: readonly string[];
}

/** A model in memory. */
export interface LoadedModel {
  /** Which implementation runs it, for metrics and answers about what is served. */
  readonly runtime: string;
  /** How many values it answers a row with. */
  readonly outputWidth: number;
  /**
   * Whether calls are worth collecting: false where a call costs nothing beyond its rows and ends within it.
   */
  readonly batches: boolean;
  /**
   * @returns `outputWidth` values for each row
   * @throws {AppError} `timeout` when the run went over its limit, `internal` when the runtime fails
   */
  predict(input: ModelRows): Promise<Float32Array>;
  /** Frees its memory; the model can't predict any more. */
  unload(): Promise<void>;
}
