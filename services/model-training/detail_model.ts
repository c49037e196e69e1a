/** What is known of a model beyond its metrics: by cost, by slice, by feature, beside what needs no model. @module */
import type { ModelDetail, Slice } from "shared/contracts/model_training.ts";
import { durationToMs } from "shared/contracts/time.ts";
import { AppError } from "shared/errors.ts";
import { createExplainer } from "shared/explain/explainer.ts";
import type { ChosenThreshold } from "./choose_threshold.ts";
import { type Dataset, modelBatch, sampleRows } from "./domain/dataset.ts";
import { bootstrapInterval } from "./domain/evaluation/bootstrap.ts";
import { classReport, confusion, thresholdReport } from "./domain/evaluation/decisions.ts";
import { permutationImportance } from "./domain/evaluation/importance.ts";
import { lastValues } from "./domain/evaluation/last_value.ts";
import { evaluate, metricValue, type ScoredRows, scoreRows } from "./domain/evaluation/metrics.ts";
import { evaluateSlices } from "./domain/evaluation/slices.ts";
import { prior } from "./domain/trainers/prior.ts";
import type { TrainingParts } from "./model_task.ts";

/** Rows of the test part that features are dealt anew in; more of them would take long and tell the same. */
const DEALT_ROWS = 5_000;
/** Rows that are explained. */
const EXPLAINED_ROWS = 200;
/** Features whose slices are judged, beside all categories. */
const SLICED_FEATURES = 5;
/** Of the rows of a slice, for its interval: there are many slices, and their intervals are wide. */
const SLICE_RESAMPLES = 200;

/** What the model was made for, and the rows it is looked at with. */
export interface DetailedParts extends Pick<TrainingParts, "dataset" | "train" | "test"> {
  spec: Pick<TrainingParts["spec"], "task" | "metric" | "seed" | "costs" | "quantile"> & {
    /** Absent where it is not known how far the labels look: then nobody knows which was the last one at T. */
    label?: Pick<TrainingParts["spec"]["label"], "within"> | undefined;
  };
}

/** The model, and its file where that can be explained. */
export interface AskedModel {
  model: { predict(dataset: Dataset): Float64Array | Promise<Float64Array> };
  onnx: Uint8Array | null;
  classes: readonly string[] | null;
}

/** Looks at the answers to the test part from all sides. */
export async function detailModel(
  parts: DetailedParts,
  answers: Float64Array,
  { made, chosen }: {
    made: AskedModel;
    /** Of a binary task. */
    chosen: ChosenThreshold | undefined;
  },
): Promise<ModelDetail> {
  const { spec, train, test } = parts;
  const scored = scoreRows(test.labels, answers, spec.quantile);
  const table = spec.task === "regression" ? [] : confusion(scored, chosen?.threshold);
  const { costs } = spec;
  const decision = chosen === undefined ? null : { costs, ...chosen, ...thresholdReport(table, costs) };
  const permutation = await permutationOf(parts, made.model);
  return {
    baselines: await baselinesOf(parts),
    confusion: table,
    classes: classReport(table, { names: test.classes ?? [], trained: rowsByClass(train, table.length) }),
    decision,
    permutation,
    slices: slicesOf(parts, scored, permutation),
    shap: shapOf(sampleRows(test, EXPLAINED_ROWS, spec.seed), made),
  };
}

function rowsByClass({ labels }: Dataset, classes: number): Float64Array {
  const rows = new Float64Array(classes);
  for (const label of labels) if (label < classes) rows[label] = rows[label]! + 1;
  return rows;
}

async function baselinesOf({ spec, dataset, train, test }: DetailedParts): Promise<ModelDetail["baselines"]> {
  const { task, seed, quantile, label } = spec;
  const model = await prior.fit(train, { task, parameters: {}, seed, quantile });
  const answers = model.predict(test);
  const judge = (outputs: Float64Array) => evaluate(task, scoreRows(test.labels, outputs, quantile));
  if (label === undefined) return { prior: judge(answers) };
  const last = lastValues(test, dataset, {
    horizonMs: durationToMs(label.within),
    fallback: answers.subarray(0, model.outputs),
  });
  return { prior: judge(answers), last_value: judge(last) };
}

async function permutationOf(
  { spec, test }: DetailedParts,
  model: AskedModel["model"],
): Promise<ModelDetail["permutation"]> {
  const rows = sampleRows(test, DEALT_ROWS, spec.seed);
  try {
    const losses = await permutationImportance(rows, (dataset) => model.predict(dataset), spec);
    return [...losses].map((loss, feature) => ({ feature: test.featureNames[feature]!, loss }))
      .toSorted((a, b) => b.loss - a.loss);
  } catch (error) {
    // A metric that is defined on the whole part need not be so on some of its rows.
    if (error instanceof AppError && error.code === "invalid") return [];
    throw error;
  }
}

function slicesOf(
  { spec, test }: DetailedParts,
  scored: ScoredRows,
  permutation: ModelDetail["permutation"],
): ModelDetail["slices"] {
  const leading = new Set(permutation.slice(0, SLICED_FEATURES).map(({ feature }) => feature));
  const intervalOf = (rows: Int32Array) => sliceInterval(spec, { test, scored, rows });
  return test.featureNames.flatMap((name, feature) =>
    leading.has(name) || test.dictionaries[feature] !== null
      ? evaluateSlices(spec.task, scored, { dataset: test, feature }, { intervalOf })
      : []
  );
}

function sliceInterval(
  { metric, seed }: DetailedParts["spec"],
  { test, scored, rows }: { test: Dataset; scored: ScoredRows; rows: Int32Array },
): Slice["interval"] {
  const width = scored.outputs.length / test.rows;
  const outputs = new Float64Array(rows.length * width);
  rows.forEach((row, at) => outputs.set(scored.outputs.subarray(row * width, (row + 1) * width), at * width));
  const part = scoreRows(Float64Array.from(rows, (row) => test.labels[row]!), outputs, scored.quantile);
  const groups = Array.from(rows, (row) => test.entities[row]!);
  try {
    metricValue(metric, part);
    return bootstrapInterval(metric, part, { seed, groups, resamples: SLICE_RESAMPLES });
  } catch (error) {
    // A slice may have rows of one class only, on which the metric says nothing.
    if (error instanceof AppError && error.code === "invalid") return null;
    throw error;
  }
}

function shapOf(
  rows: Dataset,
  { onnx, classes }: AskedModel,
): ModelDetail["shap"] {
  if (onnx === null) return [];
  let explainer;
  try {
    explainer = createExplainer(onnx);
  } catch (error) {
    // Of the prior there is nothing to explain.
    if (error instanceof AppError && error.code === "unprocessable") return [];
    throw error;
  }
  const { contributions } = explainer.explain(modelBatch(rows, 0, rows.rows));
  const inputs = rows.featureNames.length;
  const outputs = contributions.length / (rows.rows * inputs);
  return rows.featureNames.map((feature, input) => {
    const magnitudes = Array.from({ length: outputs }, (_, output) => {
      let sum = 0;
      for (let row = 0; row < rows.rows; row++) {
        sum += Math.abs(contributions[(row * inputs + input) * outputs + output]!);
      }
      return sum / rows.rows;
    });
    return {
      feature,
      magnitude: magnitudes.reduce((sum, magnitude) => sum + magnitude, 0),
      ...(outputs === 1 ? {} : {
        byClass: Object.fromEntries(magnitudes.map((magnitude, number) => [classes![number]!, magnitude])),
      }),
    };
  }).toSorted((a, b) => b.magnitude - a.magnitude);
}
