import type { Task } from "shared/contracts/signature.ts";
import type { Dataset } from "../dataset.ts";
import type { ModelMetadata } from "../model_file.ts";
import type { ParameterSpecs } from "./parameters.ts";

/** How far a fit has come; what is not known yet is left out. */
export interface FitProgress {
  /** Rounds or iterations done, and the most there can be. */
  round: number;
  rounds: number;
  /** Mean loss over the rows (log loss, or half the squared error). */
  trainingLoss?: number;
  validationLoss?: number;
}

export interface FitOptions {
  task: Task;
  /** As given by the user; the trainer fills in defaults and refuses what it does not know. */
  parameters: Readonly<Record<string, unknown>>;
  seed: number;
  /** Later rows that tell when to stop; never the test part. */
  validation?: Dataset;
  onProgress?: (progress: FitProgress) => void;
}

/**
 * Learns a model. A fit is synchronous and takes as long as it takes: it belongs in a worker. The same rows,
 * parameters and seed give the same model, bit for bit.
 */
export interface Trainer {
  readonly algorithm: string;
  readonly tasks: readonly Task[];
  readonly parameters: ParameterSpecs;
  /** @throws {AppError} `invalid` for parameters or rows it cannot learn from */
  fit(train: Dataset, options: FitOptions): FittedModel;
}

export interface FittedModel {
  readonly task: Task;
  /** Numbers worth keeping with the run, such as the rounds kept after early stopping. */
  readonly facts: Readonly<Record<string, number>>;
  /** For each row the probability of the label 1, or the value. */
  predict(dataset: Dataset): Float64Array;
  /** One ONNX file from raw features to output; {@link encodeModelFile} describes its inputs and outputs. */
  toOnnx(metadata: ModelMetadata): Uint8Array<ArrayBuffer>;
}
