/** From the file of a training set to a model's file that has been judged and tried. @module */
import type { TrainingSetStatus } from "shared/contracts/feature_store.ts";
import type {
  Curves,
  Evaluation,
  Hint,
  InputExample,
  MetricPoint,
  ModelBody,
  Parameters,
  Run,
  Trial,
} from "shared/contracts/model_training.ts";
import type { StageProgress } from "./domain/run.ts";
import {
  OUTPUT_BINS,
  OUTPUT_OF_TASK,
  type ReferenceBins,
  type Signature,
} from "shared/contracts/signature.ts";
import { durationToMs, toInstant } from "shared/contracts/time.ts";
import { AppError } from "shared/errors.ts";
import { chooseParameters, type Chosen } from "./choose_parameters.ts";
import { countClasses, type Dataset, selectRows } from "./domain/dataset.ts";
import { drawCurves } from "./domain/evaluation/curves.ts";
import { bootstrapInterval } from "./domain/evaluation/bootstrap.ts";
import { evaluate, metricValue, scoreRows } from "./domain/evaluation/metrics.ts";
import { hintsOf } from "./domain/hints.ts";
import { exampleOf } from "./domain/input_example.ts";
import { referenceBins } from "./domain/reference_bins.ts";
import { describeInputs } from "./domain/signature.ts";
import type { TimeSplit } from "./domain/split.ts";
import { splitRows } from "./domain/split_rows.ts";
import { prior } from "./domain/trainers/prior.ts";
import { trainerFor } from "./domain/trainers/registry.ts";
import type { FitProgress, FittedModel } from "./domain/trainers/trainer.ts";
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
  /** Largest difference between the file's answers and the trainer's, in units of max(1, |answer|). */
  largestDifference: number;
}

export interface TrainingProgress extends StageProgress {
  stage: Extract<Run["stage"], "fit" | "evaluate" | "export">;
}

interface Parts {
  spec: ModelBody;
  dataset: Dataset;
  split: TimeSplit;
  train: Dataset;
  /** Tells when to stop; undefined where the split declares none. */
  validation: Dataset | undefined;
  test: Dataset;
}

/** How often a fit tells how far it is: a message costs more than a round of a small fit. */
const TELL_EVERY_MS = 100;

/** How much of the time to fit goes into trials, where there are any. */
const SEARCH_SHARE = 0.8;

function choose(
  { spec, dataset, split }: Parts,
  tell: (progress: TrainingProgress) => void,
): Promise<Chosen> {
  return chooseParameters(spec, { dataset, rows: split.train }, (trial, done, all) => {
    const { value, error, parameters, rows } = trial;
    tell({
      stage: "fit",
      share: SEARCH_SHARE * done / all,
      round: done,
      rounds: all,
      points: value === null ? [] : [{ name: `trial_${spec.metric}`, step: trial.trial, value }],
      lines: [
        `Trial ${trial.trial} on up to ${rows} rows: ${value ?? error}, ${JSON.stringify(parameters)}`,
      ],
    });
  });
}

/** Tells the rounds of a fit a few at a time. @param from how much of the stage is done when the fit begins */
function batchProgress(
  tell: (progress: TrainingProgress) => void,
  from: number,
): (progress: FitProgress) => void {
  let points: MetricPoint[] = [];
  let toldAt = -Infinity;
  return ({ round, rounds, trainingLoss, validationLoss }) => {
    if (trainingLoss !== undefined) points.push({ name: "training_loss", step: round, value: trainingLoss });
    if (validationLoss !== undefined) {
      points.push({ name: "validation_loss", step: round, value: validationLoss });
    }
    if (round < rounds && performance.now() - toldAt < TELL_EVERY_MS) return;
    tell({ stage: "fit", share: from + (1 - from) * round / rounds, round, rounds, points });
    points = [];
    toldAt = performance.now();
  };
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
  const { train, validation, test } = parts;

  tell({ stage: "fit", share: 0 });
  const { parameters, trials } = await choose(parts, tell);
  const fitsFrom = trials.length === 0 ? 0 : SEARCH_SHARE;
  const model = await trainerFor(spec.algorithm, spec.task).fit(train, {
    task: spec.task,
    parameters,
    seed: spec.seed,
    ...(validation === undefined ? {} : { validation }),
    onProgress: batchProgress(tell, fitsFrom),
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
  return {
    onnx,
    signature,
    evaluation,
    curves: drawCurves(spec.task, test.labels, answers),
    hints: hintsOf(train, spec.task),
    referenceBins: bins,
    inputExample: exampleOf(train),
    trials,
    parameters,
    facts: model.facts,
    largestDifference,
  };
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
  const { task, seed } = spec;
  const split = splitRows(dataset, spec.split, { task, horizonMs: durationToMs(spec.label.within), seed });
  return {
    spec,
    dataset,
    split,
    train: selectRows(dataset, split.train),
    validation: split.validation.length === 0 ? undefined : selectRows(dataset, split.validation),
    test: selectRows(dataset, split.test),
  };
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
