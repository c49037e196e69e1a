/** Models made elsewhere: their files checked, brought into the platform's form, tried and judged. @module */
import type {
  Curves,
  ErrorCosts,
  Hint,
  InputExample,
  Metric,
  ModelGraph,
} from "shared/contracts/model_training.ts";
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
import type { ModelSummary } from "shared/onnx/reader.ts";
import { loadModel } from "shared/onnx/runtime.ts";
import { parseWith } from "shared/validation.ts";
import { type AnsweredRows, chooseThreshold } from "./choose_threshold.ts";
import { binsOf, describeModel, type ModelDescription, signatureOf } from "./describe_model.ts";
import { detailModel } from "./detail_model.ts";
import { adaptModelFile } from "./domain/adapt_model_file.ts";
import { numberLabels } from "./domain/classes.ts";
import { type Dataset, selectRows } from "./domain/dataset.ts";
import { allTexts } from "./domain/encoding.ts";
import { goldenRowsOf } from "./domain/golden_rows.ts";
import { modelGraph } from "./domain/model_graph.ts";
import { hintsOf } from "./domain/hints.ts";
import { exampleBatch, exampleOf } from "./domain/input_example.ts";
import { readParts, type TrainedModel, type TrainingTask } from "./model_task.ts";
import { readSettledRows } from "./training_data.ts";
import { type Score, withModelFile } from "./verify.ts";

export interface OutsideTask extends TrainingTask {
  /** What the trainer made of the training part. */
  onnx: Uint8Array;
  maxBytes: number;
  /** What the trainer had to say. */
  facts: Readonly<Record<string, number>>;
  environment: Readonly<Record<string, string>>;
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
  const { summary } = admitModelFile(task.onnx, { maxBytes });
  const signature = signatureOf(task, train, allTexts(train));
  const bare = adaptModelFile(task.onnx, summary, { signature });
  const shape = { dictionaries: train.dictionaries, outputs: shapeOf(signature).outputs };
  return await withModelFile(bare, shape, async (score) => {
    const bins = binsOf(train, await score(train), signature);
    const answers = await score(test);
    refuseNoProbabilities(answers, signature);
    const description = await describeModel(parts, answers);
    const detail = await detailModel(parts, answers, {
      made: asked(score, signature),
      chosen: spec.task === "binary"
        ? chooseThreshold(spec.costs, await answered(parts.validation, score))
        : undefined,
    });
    return {
      onnx: adaptModelFile(task.onnx, summary, {
        signature,
        trainingSet: { sha256: trainingSet.sha256, views: trainingSet.manifest.views },
        referenceBins: bins,
        goldenRows: goldenRowsOf(test, answers, { inputs: signature.inputs, seed: spec.seed }),
      }),
      signature,
      graph: modelGraph(summary, task.onnx.length),
      ...description,
      curves: { ...description.curves, ...detail },
      referenceBins: bins,
      trials: [],
      parameters: spec.parameters,
      facts,
      environment: { ...originOf(summary), ...task.environment },
      largestDifference: 0,
    };
  });
}

async function answered(rows: Dataset | undefined, score: Score): Promise<AnsweredRows | undefined> {
  return rows && { labels: rows.labels, answers: await score(rows) };
}

/** Nothing is known of how such a file answers: it can be asked, and not explained. */
const asked = (score: Score, { classes }: Signature) => ({ model: { predict: score }, onnx: null, classes });

/** What a file says of where it comes from. */
function originOf({ producerName, irVersion, opsets }: ModelSummary): Record<string, string> {
  return {
    ...(producerName === "" ? {} : { producer: producerName }),
    onnx: [`IR ${irVersion}`, ...Object.entries(opsets).map(([domain, version]) => `${domain} ${version}`)]
      .join(", "),
  };
}

export interface ImportTask {
  onnx: Uint8Array;
  maxBytes: number;
  /** Null: the file must carry it. */
  signature: Signature | null;
  /** A row to try it with; null: zeros and missing texts. */
  inputExample: InputExample | null;
  /** Rows like those it has learnt from; null: none are known. */
  known: KnownRows | null;
}

export interface KnownRows {
  /** Parquet. */
  file: Uint8Array;
  sha256: string;
  /** The last T that the model has learnt from: it is judged by what is later. Null: it is not judged. */
  trainUntil: Instant | null;
  /** Null: log loss, or the root of the mean squared error. */
  metric: Metric | null;
  costs: ErrorCosts;
  /** How far the labels look, a duration; null where it is not known. */
  within: string | null;
  seed: number;
}

export interface ImportedModel {
  onnx: Uint8Array<ArrayBuffer>;
  signature: Signature;
  /** Of the file as it came. */
  graph: ModelGraph;
  inputExample: InputExample | null;
  /** Null where it was not judged. */
  evaluation: ModelDescription["evaluation"] | null;
  curves: Curves | null;
  hints: Hint[];
  referenceBins: ReferenceBins[];
  environment: Record<string, string>;
}

/**
 * Checks a file: it parses, asks only for operators that are accepted, has the inputs and the output of its signature,
 * and answers a test row. Where rows are given, they tell its reference bins and an example, and it is judged by those
 * that are later than what it has learnt from.
 *
 * @throws {AppError} `invalid`, `too_large` or `unprocessable`, with what is wrong
 */
export async function checkImportedModel(task: ImportTask): Promise<ImportedModel> {
  const { inputExample, known } = task;
  const { summary } = admitModelFile(task.onnx, { maxBytes: task.maxBytes });
  const signature = task.signature ?? readSignature(summary.metadata);
  const onnx = adaptModelFile(task.onnx, summary, { signature });
  await tryRow(onnx, signature, inputExample);
  const environment = originOf(summary);
  const graph = modelGraph(summary, task.onnx.length);
  if (known === null) {
    const nothing = { evaluation: null, curves: null, hints: [], referenceBins: [] };
    return { onnx, signature, graph, inputExample, environment, ...nothing };
  }
  const { golden, ...found } = await lookAt(onnx, signature, known);
  const goldenRows = goldenRowsOf(golden.rows, golden.answers, {
    inputs: signature.inputs,
    seed: known.seed,
  });
  const { referenceBins } = found;
  const trainingSet = { sha256: known.sha256, views: [] };
  return {
    onnx: adaptModelFile(task.onnx, summary, { signature, trainingSet, referenceBins, goldenRows }),
    signature,
    graph,
    environment,
    ...found,
    inputExample: inputExample ?? found.inputExample,
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

type Found = Pick<
  ImportedModel,
  "evaluation" | "curves" | "hints" | "referenceBins" | "inputExample"
>;
/** Rows with the file's answers. */
interface Golden {
  golden: { rows: Dataset; answers: Float64Array };
}

async function lookAt(onnx: Uint8Array, signature: Signature, known: KnownRows): Promise<Found & Golden> {
  const settled = await readSettledRows(known.file);
  const dataset = numberLabels(settled.dataset(signature.inputs.map(({ name }) => name)), signature);
  const { dictionaries } = dataset;
  const shape = { dictionaries, outputs: shapeOf(signature).outputs };
  return await withModelFile(onnx, shape, async (score) => {
    const { trainUntil } = known;
    if (trainUntil !== null) {
      return await judge(dataset, { score, signature, known: { ...known, trainUntil } });
    }
    const answers = await score(dataset);
    return {
      evaluation: null,
      curves: null,
      hints: hintsOf(dataset, { task: signature.task }),
      referenceBins: binsOf(dataset, answers, signature),
      inputExample: exampleOf(dataset),
      golden: { rows: dataset, answers },
    };
  });
}

/** By the rows that are later than what it has learnt from; the earlier ones tell the baseline and the bins. */
async function judge(
  dataset: Dataset,
  { score, signature, known }: {
    score: Score;
    signature: Signature;
    known: KnownRows & { trainUntil: Instant };
  },
): Promise<Found & Golden> {
  const { task } = signature;
  const { trainUntil, metric, costs, within, seed } = known;
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
  const { train, test } = parts;
  const spec = {
    task,
    metric: metric ?? (task === "regression" ? "rmse" as const : "log_loss" as const),
    seed,
  };
  const answers = await score(test);
  const split = {
    trainUntil: until,
    testFrom: test.times.reduce((first, time) => Math.min(first, time)),
    testUntil: test.times.reduce((last, time) => Math.max(last, time)),
  };
  const { curves, ...description } = await describeModel({ spec, split, ...parts }, answers);
  const label = within === null ? undefined : { within };
  const detail = await detailModel(
    { spec: { ...spec, costs, label }, dataset, ...parts },
    answers,
    {
      made: asked(score, signature),
      // All rows that it has not learnt from are the test part.
      chosen: task === "binary" ? chooseThreshold(costs, undefined) : undefined,
    },
  );
  return {
    ...description,
    curves: { ...curves, ...detail },
    referenceBins: binsOf(train, await score(train), signature),
    golden: { rows: test, answers },
  };
}
