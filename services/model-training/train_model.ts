/** From the file of a training set to a model's file that has been judged and tried. @module */
import type { TrainingSetStatus } from "shared/contracts/feature_store.ts";
import type { Evaluation, ModelBody, Run } from "shared/contracts/model_training.ts";
import {
  OUTPUT_BINS,
  OUTPUT_OF_TASK,
  type ReferenceBins,
  type Signature,
} from "shared/contracts/signature.ts";
import { durationToMs, toInstant } from "shared/contracts/time.ts";
import { AppError } from "shared/errors.ts";
import { countClasses, type Dataset, selectRows } from "./domain/dataset.ts";
import { bootstrapInterval } from "./domain/evaluation/bootstrap.ts";
import { evaluate, metricValue, scoreRows } from "./domain/evaluation/metrics.ts";
import { referenceBins } from "./domain/reference_bins.ts";
import { describeInputs } from "./domain/signature.ts";
import { splitByTime, type TimeSplit } from "./domain/split.ts";
import { prior } from "./domain/trainers/prior.ts";
import { trainerFor } from "./domain/trainers/registry.ts";
import type { FittedModel } from "./domain/trainers/trainer.ts";
import { readSettledRows } from "./training_data.ts";
import { verifyModelFile } from "./verify.ts";

export type TrainingSetManifest = NonNullable<TrainingSetStatus["result"]>["manifest"];

export interface TrainingTask {
  /** Parquet. */
  file: Uint8Array;
  trainingSet: { sha256: string; manifest: TrainingSetManifest };
  /** Planned: with every parameter of the algorithm. */
  spec: ModelBody;
}

export interface TrainedModel {
  onnx: Uint8Array<ArrayBuffer>;
  signature: Signature;
  evaluation: Evaluation;
  /** Of each feature and of the output, over the training part. */
  referenceBins: ReferenceBins[];
  /** What the trainer has to say, such as the trees it kept. */
  facts: Readonly<Record<string, number>>;
  /** Largest difference between the file's answers and the trainer's, in units of max(1, |answer|). */
  largestDifference: number;
}

export interface TrainingProgress {
  stage: Extract<Run["stage"], "fit" | "evaluate" | "export">;
  /** Of the stage, between 0 and 1. */
  share: number;
}

interface Parts {
  spec: ModelBody;
  split: TimeSplit;
  train: Dataset;
  test: Dataset;
}

/**
 * Learns from the older rows, judges by the later ones beside the trivial baseline, writes the ONNX file and has the
 * WASM runtime answer the later rows with it. The same task gives the same model, byte for byte.
 *
 * @throws {AppError} `invalid` or `unprocessable` for rows that nothing can be learnt from, or a file that answers
 * otherwise than the trainer
 */
export async function trainModel(
  task: TrainingTask,
  tell: (progress: TrainingProgress) => void,
): Promise<TrainedModel> {
  const { spec, trainingSet } = task;
  const parts = await readParts(task);
  const { train, test } = parts;

  tell({ stage: "fit", share: 0 });
  const model = await trainerFor(spec.algorithm, spec.task).fit(train, {
    task: spec.task,
    parameters: spec.parameters,
    seed: spec.seed,
    onProgress: ({ round, rounds }) => tell({ stage: "fit", share: round / rounds }),
  });

  tell({ stage: "evaluate", share: 0 });
  const answers = model.predict(test);
  const evaluation = await evaluateModel(parts, answers);

  tell({ stage: "export", share: 0 });
  const signature = signatureOf(task, train, model);
  const bins = binsOf(model, train);
  const onnx = model.toOnnx({
    signature,
    trainingSet: { sha256: trainingSet.sha256, views: trainingSet.manifest.views },
    referenceBins: bins,
  });
  const { largestDifference } = await verifyModelFile(onnx, { dataset: test, answers });
  return { onnx, signature, evaluation, referenceBins: bins, facts: model.facts, largestDifference };
}

async function readParts({ file, spec, trainingSet }: TrainingTask): Promise<Parts> {
  const settled = await readSettledRows(file);
  const { features } = trainingSet.manifest;
  if (settled.featureNames.join() !== features.join()) {
    throw new AppError(
      "invalid",
      `Cannot use the training set: it has the features ${settled.featureNames.join(", ")}, ` +
        `its manifest says ${features.join(", ")}`,
    );
  }
  const dataset = settled.dataset(features);
  const split = splitByTime(dataset.times, {
    horizonMs: durationToMs(spec.label.within),
    testMs: durationToMs(spec.split.test),
  });
  return { spec, split, train: selectRows(dataset, split.train), test: selectRows(dataset, split.test) };
}

async function evaluateModel(
  { spec, split, train, test }: Parts,
  answers: Float64Array,
): Promise<Evaluation> {
  const { task, metric, seed } = spec;
  const baseline = await prior.fit(train, { task, parameters: {}, seed });
  const scored = scoreRows(test.labels, answers);
  // A run must not end with a model whose own metric says nothing.
  metricValue(metric, scored);
  return {
    metric,
    rows: test.rows,
    baseRate: test.labels.reduce((sum, label) => sum + label, 0) / test.rows,
    model: evaluate(task, scored),
    baseline: evaluate(task, scoreRows(test.labels, baseline.predict(test))),
    // An entity's rows resemble each other: it is drawn with all of them.
    interval: bootstrapInterval(metric, scored, { seed, groups: test.entities }),
    trainRows: train.rows,
    trainUntil: toInstant(split.trainUntil),
    testFrom: toInstant(split.testFrom),
    testUntil: toInstant(split.testUntil),
  };
}

function signatureOf({ spec, trainingSet }: TrainingTask, train: Dataset, model: FittedModel): Signature {
  const { task } = spec;
  return {
    task,
    entity: spec.entity,
    featureService: trainingSet.manifest.featureService,
    inputs: describeInputs(train, model.vocabularies),
    output: OUTPUT_OF_TASK[task],
    classes: task === "regression"
      ? null
      : Array.from({ length: countClasses(train.labels) }, (_, number) => String(number)),
  };
}

function binsOf(model: FittedModel, train: Dataset): ReferenceBins[] {
  return [
    ...train.featureNames.map((name, column) => referenceBins(name, train.columns[column]!)),
    referenceBins(OUTPUT_BINS, model.predict(train)),
  ];
}
