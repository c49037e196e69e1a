/** From the file of a training set to a model's file that has been judged and tried. @module */
import type { MetricPoint } from "shared/contracts/model_training.ts";
import { chooseParameters, type Chosen } from "./choose_parameters.ts";
import { chooseFittedThreshold } from "./choose_threshold.ts";
import { detailModel } from "./detail_model.ts";
import { binsOf, describeModel, signatureOf } from "./describe_model.ts";
import { modelGraph } from "./domain/model_graph.ts";
import { readModel } from "shared/onnx/reader.ts";
import { goldenRowsOf } from "./domain/golden_rows.ts";
import { trainerFor } from "./domain/trainers/registry.ts";
import type { FitProgress } from "./domain/trainers/trainer.ts";
import {
  readParts,
  type TrainedModel,
  type TrainingParts,
  type TrainingProgress,
  type TrainingTask,
} from "./model_task.ts";
import { verifyModelFile } from "./verify.ts";

/** How often a fit tells how far it is: a message costs more than a round of a small fit. */
const TELL_EVERY_MS = 100;

/** How much of the time to fit goes into trials, where there are any. */
const SEARCH_SHARE = 0.8;

function choose(
  { spec, dataset, split }: TrainingParts,
  threads: number,
  tell: (progress: TrainingProgress) => void,
): Promise<Chosen> {
  return chooseParameters(spec, { dataset, rows: split.train, threads }, (trial, done, all) => {
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
  const { parameters, trials } = await choose(parts, task.threads, tell);
  const fitsFrom = trials.length === 0 ? 0 : SEARCH_SHARE;
  const model = await trainerFor(spec.algorithm, spec.task).fit(train, {
    task: spec.task,
    parameters,
    seed: spec.seed,
    quantile: spec.quantile,
    ...(validation === undefined ? {} : { validation }),
    threads: task.threads,
    onProgress: batchProgress(tell, fitsFrom),
  });

  tell({ stage: "evaluate", share: 0 });
  const answers = model.predict(test);
  const description = await describeModel(parts, answers, model.gains);

  tell({ stage: "export", share: 0 });
  const signature = signatureOf(task, train, model.vocabularies);
  const bins = binsOf(train, model.predict(train), signature);
  const onnx = model.toOnnx({
    signature,
    trainingSet: { sha256: trainingSet.sha256, views: trainingSet.manifest.views },
    referenceBins: bins,
    goldenRows: goldenRowsOf(test, answers, { inputs: signature.inputs, seed: spec.seed }),
  });
  const { largestDifference } = await verifyModelFile(onnx, { dataset: test, answers });
  const fitted = { ...parts, spec: { ...spec, parameters } };
  const chosen = spec.task === "binary"
    ? await chooseFittedThreshold(fitted, { model, threads: task.threads })
    : undefined;
  const made = { model, onnx, classes: signature.classes };
  const detail = await detailModel(parts, answers, { made, chosen });
  return {
    onnx,
    signature,
    graph: modelGraph(readModel(onnx), onnx.length),
    ...description,
    curves: { ...description.curves, ...detail },
    referenceBins: bins,
    trials,
    parameters,
    facts: model.facts,
    largestDifference,
  };
}
