import type { z } from "zod";
import type { BuiltInAlgorithm } from "shared/contracts/model_training.ts";
import type { Task } from "shared/contracts/signature.ts";
import type { Dataset } from "../dataset.ts";
import type { Vocabularies } from "../encoding.ts";
import type { ModelMetadata } from "../model_file.ts";

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
  /** Of a regression: the quantile of the label to answer; default: the mean. */
  quantile?: number | undefined;
  /** Later rows that tell when to stop; never the test part. */
  validation?: Dataset;
  /** Most threads that work at it, this one included; default: 1. Any number gives the same model. */
  threads?: number;
  onProgress?: (progress: FitProgress) => void;
}

/**
 * Learns a model. A fit keeps its thread busy for as long as it takes: it belongs in a worker. The same rows,
 * parameters and seed give the same model, bit for bit.
 */
export interface Trainer {
  readonly algorithm: BuiltInAlgorithm;
  readonly tasks: readonly Task[];
  /** Whether it can answer a quantile instead of the mean. */
  readonly answersQuantiles: boolean;
  /** What it can be told, with defaults, ranges and descriptions. */
  readonly parameters: z.ZodObject;
  /** @throws {AppError} `invalid` for parameters or rows it cannot learn from */
  fit(train: Dataset, options: FitOptions): Promise<FittedModel>;
}

export interface FittedModel {
  readonly task: Task;
  /** Numbers worth keeping with the run, such as the rounds kept after early stopping. */
  readonly facts: Readonly<Record<string, number>>;
  /** Of each feature the texts it knows apart; null for a number. */
  readonly vocabularies: Vocabularies;
  /** Answers for each row: 1, or the number of classes of a multiclass task. */
  readonly outputs: number;
  /** Of each feature how much it has lowered the loss in training; absent where the algorithm can't tell. */
  readonly gains?: Float64Array;
  /** For each row the probability of the label 1, the probabilities of all classes, or the value: [rows, outputs]. */
  predict(dataset: Dataset): Float64Array;
  /** One ONNX file from raw features to output; `encodeModelFile()` describes its inputs and outputs. */
  toOnnx(metadata: ModelMetadata): Uint8Array<ArrayBuffer>;
}
