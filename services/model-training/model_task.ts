/** What is trained from what, and what comes of it. @module */
import type { TrainingSetStatus } from "shared/contracts/feature_store.ts";
import type {
  Curves,
  Evaluation,
  Hint,
  InputExample,
  ModelBody,
  ModelGraph,
  Parameters,
  Run,
  Trial,
} from "shared/contracts/model_training.ts";
import type { ReferenceBins, Signature, Task } from "shared/contracts/signature.ts";
import { durationToMs } from "shared/contracts/time.ts";
import { AppError } from "shared/errors.ts";
import { countClasses, numberClasses } from "./domain/classes.ts";
import { type Dataset, selectRows } from "./domain/dataset.ts";
import type { StageProgress } from "./domain/run.ts";
import type { TimeSplit } from "./domain/split.ts";
import { splitRows } from "./domain/split_rows.ts";
import { readSettledRows } from "./training_data.ts";

export type TrainingSetManifest = NonNullable<TrainingSetStatus["result"]>["manifest"];

export interface TrainingTask {
  /** Parquet. */
  file: Uint8Array;
  trainingSet: { sha256: string; manifest: TrainingSetManifest };
  /** Planned: with every parameter of the algorithm. */
  spec: ModelBody;
  /** Most threads that a fit works with. Any number gives the same model. */
  threads: number;
}

export interface TrainedModel {
  onnx: Uint8Array<ArrayBuffer>;
  signature: Signature;
  /** Of the file as its trainer wrote it. */
  graph: ModelGraph;
  evaluation: Evaluation;
  /** Of each feature and of the output, over the training part. */
  referenceBins: ReferenceBins[];
  curves: Curves;
  hints: Hint[];
  /** A row of the training part. */
  inputExample: InputExample;
  /** Of a search. */
  trials: Trial[];
  /** Those it was fitted with. */
  parameters: Parameters;
  /** What the trainer has to say, such as the trees it kept. */
  facts: Readonly<Record<string, number>>;
  /** What it was trained in besides the service, where that is known. */
  environment?: Readonly<Record<string, string>>;
  /** Largest difference between the file's answers and the trainer's, in units of max(1, |answer|). */
  largestDifference: number;
}

export interface TrainingProgress extends StageProgress {
  stage: Extract<Run["stage"], "fit" | "evaluate" | "export">;
}

/** The rows of a training set in the parts of the split. */
export interface TrainingParts {
  spec: ModelBody;
  /** Labels are numbered by the classes of the training part. */
  dataset: Dataset;
  split: TimeSplit;
  train: Dataset;
  /** Tells when to stop; undefined where the split declares none. */
  validation: Dataset | undefined;
  test: Dataset;
  /** Of the training set's manifest: how close to T each feature's newest record came. */
  leads: TrainingSetManifest["leads"];
}

/**
 * Reads a training set and splits it as the model declares.
 *
 * @throws {AppError} `invalid` or `unprocessable` for a file that is none, or rows that can't be split
 */
export async function readParts({ file, spec, trainingSet }: TrainingTask): Promise<TrainingParts> {
  const settled = await readSettledRows(file);
  const { features } = trainingSet.manifest;
  if (settled.featureNames.join() !== features.join()) {
    throw new AppError(
      "invalid",
      `Cannot use the training set: it has the features ${settled.featureNames.join(", ")}, ` +
        `its manifest says ${features.join(", ")}`,
    );
  }
  const unnumbered = settled.dataset(features);
  const { task, seed, positiveClass: positive } = spec;
  const split = splitRows(unnumbered, spec.split, { task, horizonMs: durationToMs(spec.label.within), seed });
  const dataset = numberClasses(unnumbered, { task, train: split.train, positive });
  const train = selectRows(dataset, split.train);
  return {
    spec,
    dataset,
    split,
    train,
    validation: validationOf(dataset, split.validation, { task, train }),
    test: selectRows(dataset, split.test),
    leads: trainingSet.manifest.leads,
  };
}

/** Rows of a class that the training part lacks can't tell when to stop: no model has an answer for them. */
function validationOf(
  dataset: Dataset,
  rows: Int32Array,
  { task, train }: { task: Task; train: Dataset },
): Dataset | undefined {
  const known = task === "multiclass" ? countClasses(train.labels) : Infinity;
  const kept = rows.filter((row) => dataset.labels[row]! < known);
  return kept.length === 0 ? undefined : selectRows(dataset, kept);
}
