/** Models made elsewhere: their files checked, brought into the platform's form, tried and judged. @module */
import type { InputExample, Metric } from "shared/contracts/model_training.ts";
import {
  MODEL_METADATA,
  type ReferenceBins,
  type Signature,
  signatureSchema,
} from "shared/contracts/signature.ts";
import type { Instant } from "shared/contracts/time.ts";
import { AppError, invalid, messageOf } from "shared/errors.ts";
import { admitModelFile } from "shared/onnx/admission.ts";
import { shapeOf } from "shared/onnx/model_batch.ts";
import { loadModel } from "shared/onnx/runtime.ts";
import { parseWith } from "shared/validation.ts";
import { binsOf, describeModel, type ModelDescription, signatureOf } from "./describe_model.ts";
import { adaptModelFile } from "./domain/adapt_model_file.ts";
import { numberLabels } from "./domain/classes.ts";
import { type Dataset, selectRows } from "./domain/dataset.ts";
import { goldenRowsOf } from "./domain/golden_rows.ts";
import { exampleBatch } from "./domain/input_example.ts";
import { readParts, type TrainedModel, type TrainingTask } from "./model_task.ts";
import { readSettledRows } from "./training_data.ts";
import { scoreWithFile } from "./verify.ts";

export interface OutsideTask extends TrainingTask {
  /** What the trainer made of the training part. */
  onnx: Uint8Array;
  maxBytes: number;
  /** What the trainer had to say. */
  facts: Readonly<Record<string, number>>;
}

/**
 * Judges the file of a trainer outside the service like that of one within: on the test part, which the trainer has not
 * seen, beside the trivial baseline.
 *
 * @throws {AppError} for a file that can't be served
 */
export async function judgeOutsideModel(task: OutsideTask): Promise<TrainedModel> {
  const { spec, trainingSet, facts, maxBytes } = task;
  const parts = await readParts(task);
  const { train, test } = parts;
  const summary = admitModelFile(task.onnx, { maxBytes });
  const signature = signatureOf(task, train, train.featureNames.map(() => null));
  const bare = adaptModelFile(task.onnx, summary, { signature });
  const { outputs } = shapeOf(signature);
  const bins = binsOf(train, await scoreWithFile(bare, train, outputs), signature);
  const answers = await scoreWithFile(bare, test, outputs);
  refuseNoProbabilities(answers, signature);
  const onnx = adaptModelFile(task.onnx, summary, {
    signature,
    trainingSet: { sha256: trainingSet.sha256, views: trainingSet.manifest.views },
    referenceBins: bins,
    goldenRows: goldenRowsOf(test, answers, { inputs: signature.inputs, seed: spec.seed }),
  });
  return {
    onnx,
    signature,
    ...await describeModel(parts, answers),
    referenceBins: bins,
    trials: [],
    parameters: spec.parameters,
    facts,
    largestDifference: 0,
  };
}

export interface ImportTask {
  onnx: Uint8Array;
  maxBytes: number;
  /** Null: the file must carry it. */
  signature: Signature | null;
  /** A row to try it with; null: zeros and missing texts. */
  inputExample: InputExample | null;
  /** Rows to judge it by; null: it is not judged. */
  judgedBy: {
    /** Parquet. */
    file: Uint8Array;
    sha256: string;
    /** The last T that the model has learnt from. */
    trainUntil: Instant;
    /** Null: log loss, or the root of the mean squared error. */
    metric: Metric | null;
    seed: number;
  } | null;
}

export interface ImportedModel {
  onnx: Uint8Array<ArrayBuffer>;
  signature: Signature;
  inputExample: InputExample | null;
  /** Null where it was not judged. */
  description: ModelDescription | null;
  referenceBins: ReferenceBins[];
}

/**
 * Checks a file: it parses, asks only for operators that are accepted, has the inputs and the output of its signature,
 * answers a test row, and is judged where rows are given.
 *
 * @throws {AppError} `invalid`, `too_large` or `unprocessable`, with what is wrong
 */
export async function checkImportedModel(task: ImportTask): Promise<ImportedModel> {
  const summary = admitModelFile(task.onnx, { maxBytes: task.maxBytes });
  const signature = task.signature ?? readSignature(summary.metadata);
  const onnx = adaptModelFile(task.onnx, summary, { signature });
  await tryRow(onnx, signature, task.inputExample);
  if (task.judgedBy === null) {
    return { onnx, signature, inputExample: task.inputExample, description: null, referenceBins: [] };
  }
  const { sha256 } = task.judgedBy;
  const { train, test, answers, description } = await judge(onnx, signature, task.judgedBy);
  const trained = await scoreWithFile(onnx, train, shapeOf(signature).outputs);
  const referenceBins = binsOf(train, trained, signature);
  return {
    onnx: adaptModelFile(task.onnx, summary, {
      signature,
      trainingSet: { sha256, views: [] },
      referenceBins,
      goldenRows: goldenRowsOf(test, answers, { inputs: signature.inputs, seed: task.judgedBy.seed }),
    }),
    signature,
    inputExample: task.inputExample ?? description.inputExample,
    description,
    referenceBins,
  };
}

function readSignature(metadata: Readonly<Record<string, string>>): Signature {
  const text = metadata[MODEL_METADATA.signature];
  if (text === undefined) {
    throw invalid(
      `Cannot import the ONNX file: it has no signature in its metadata (${MODEL_METADATA.signature}), ` +
        `so the request must hold one`,
    );
  }
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw invalid(`Cannot import the ONNX file: the signature in its metadata is not JSON: ${error}`);
  }
  return parseWith(signatureSchema, value, "read the signature in the file's metadata");
}

async function tryRow(onnx: Uint8Array, signature: Signature, example: InputExample | null): Promise<void> {
  const model = await loadModel(onnx, shapeOf(signature));
  try {
    const answers = await model.predict(exampleBatch(signature, example)).catch((error) => {
      // What fails is the file, and not the service.
      throw new AppError(
        "unprocessable",
        `Cannot import the ONNX file: it does not answer the test row: ${messageOf(error)}`,
      );
    });
    const bad = answers.find((answer) => !Number.isFinite(answer));
    if (bad !== undefined) {
      throw new AppError("unprocessable", `Cannot import the ONNX file: it answers ${bad} to the test row`);
    }
    refuseNoProbabilities(answers, signature);
  } finally {
    await model.unload();
  }
}

/** How far a float32 probability may be out by its rounding. */
const GRAIN = 1e-4;

function refuseNoProbabilities(answers: ArrayLike<number>, { output }: Signature): void {
  if (output === "value") return;
  const bad = Array.from(answers).find((answer) => !(answer >= -GRAIN && answer <= 1 + GRAIN));
  if (bad === undefined) return;
  throw new AppError(
    "unprocessable",
    `Cannot use the ONNX file: it answers ${bad} where its signature promises a probability between 0 and 1`,
  );
}

/** By the rows that are later than what it has learnt from; the earlier ones tell the baseline and the bins. */
async function judge(
  onnx: Uint8Array,
  signature: Signature,
  { file, trainUntil, metric, seed }: NonNullable<ImportTask["judgedBy"]>,
): Promise<{ train: Dataset; test: Dataset; answers: Float64Array; description: ModelDescription }> {
  const settled = await readSettledRows(file);
  const dataset = numberLabels(settled.dataset(signature.inputs.map(({ name }) => name)), signature);
  const { task } = signature;
  const until = Date.parse(trainUntil);
  const rows = Int32Array.from({ length: dataset.rows }, (_, row) => row);
  const parts = {
    train: selectRows(dataset, rows.filter((row) => dataset.times[row]! <= until)),
    test: selectRows(dataset, rows.filter((row) => dataset.times[row]! > until)),
  };
  for (const [part, { rows }] of Object.entries(parts)) {
    if (rows > 0) continue;
    throw new AppError(
      "unprocessable",
      `Cannot judge the model: the training set has no settled row ${
        part === "train" ? "up to" : "after"
      } ${trainUntil}`,
    );
  }
  const answers = await scoreWithFile(onnx, parts.test, shapeOf(signature).outputs);
  const { times } = parts.test;
  const description = await describeModel({
    spec: { task, metric: metric ?? (task === "regression" ? "rmse" : "log_loss"), seed },
    split: {
      trainUntil: until,
      testFrom: times.reduce((first, time) => Math.min(first, time)),
      testUntil: times.reduce((last, time) => Math.max(last, time)),
    },
    ...parts,
  }, answers);
  return { ...parts, answers, description };
}
