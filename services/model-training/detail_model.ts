/** What is known of a model beyond its metrics: by cost, by slice, by feature, beside what needs no model. @module */
import type { ModelDetail, Slice } from "shared/contracts/model_training.ts";
import { durationToMs } from "shared/contracts/time.ts";
import { AppError } from "shared/errors.ts";
import { createExplainer } from "shared/explain/explainer.ts";
import { type Dataset, modelBatch, selectRows } from "./domain/dataset.ts";
import { bootstrapInterval } from "./domain/evaluation/bootstrap.ts";
import { cheapestThreshold, confusion } from "./domain/evaluation/decisions.ts";
import { permutationImportance } from "./domain/evaluation/importance.ts";
import { lastValues } from "./domain/evaluation/last_value.ts";
import { evaluate, metricValue, type ScoredRows, scoreRows } from "./domain/evaluation/metrics.ts";
import { evaluateSlices } from "./domain/evaluation/slices.ts";
import { prior } from "./domain/trainers/prior.ts";
import type { FittedModel } from "./domain/trainers/trainer.ts";
import type { TrainingParts } from "./model_task.ts";

/** Rows of the test part that features are dealt anew in; more of them would take long and tell the same. */
const DEALT_ROWS = 5_000;
/** Rows that are explained. */
const EXPLAINED_ROWS = 200;
/** Features whose slices are judged, beside all categories. */
const SLICED_FEATURES = 5;
/** Of the rows of a slice, for its interval: there are many slices, and their intervals are wide. */
const SLICE_RESAMPLES = 200;

/**
 * Looks at the answers to the test part from all sides.
 *
 * @param made the model and its file
 */
export async function detailModel(
  parts: TrainingParts,
  answers: Float64Array,
  made: { model: FittedModel; onnx: Uint8Array },
): Promise<ModelDetail> {
  const { spec, test } = parts;
  const scored = scoreRows(test.labels, answers);
  const decision = spec.task === "binary"
    ? { costs: spec.costs, ...cheapestThreshold(scored, spec.costs) }
    : null;
  const permutation = permutationOf(parts, made.model);
  return {
    baselines: await baselinesOf(parts),
    confusion: spec.task === "regression" ? [] : confusion(scored, decision?.threshold),
    decision,
    permutation,
    slices: slicesOf(parts, scored, permutation),
    shap: shapOf(test, made.onnx),
  };
}

async function baselinesOf({ spec, train, test }: TrainingParts): Promise<ModelDetail["baselines"]> {
  const { task, seed } = spec;
  const model = await prior.fit(train, { task, parameters: {}, seed });
  const answers = model.predict(test);
  const last = lastValues(test, [train, test], {
    horizonMs: durationToMs(spec.label.within),
    fallback: answers.subarray(0, model.outputs),
  });
  const judge = (outputs: Float64Array) => evaluate(task, scoreRows(test.labels, outputs));
  return { prior: judge(answers), last_value: judge(last) };
}

function permutationOf({ spec, test }: TrainingParts, model: FittedModel): ModelDetail["permutation"] {
  const rows = spreadRows(test, DEALT_ROWS);
  try {
    const losses = permutationImportance(rows, model.predict, spec);
    return [...losses].map((loss, feature) => ({ feature: test.featureNames[feature]!, loss }))
      .toSorted((a, b) => b.loss - a.loss);
  } catch (error) {
    // A metric that is defined on the whole part need not be so on some of its rows.
    if (error instanceof AppError && error.code === "invalid") return [];
    throw error;
  }
}

function slicesOf(
  { spec, test }: TrainingParts,
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
  { metric, seed }: TrainingParts["spec"],
  { test, scored, rows }: { test: Dataset; scored: ScoredRows; rows: Int32Array },
): Slice["interval"] {
  const width = scored.outputs.length / test.rows;
  const outputs = new Float64Array(rows.length * width);
  rows.forEach((row, at) => outputs.set(scored.outputs.subarray(row * width, (row + 1) * width), at * width));
  const part = scoreRows(Float64Array.from(rows, (row) => test.labels[row]!), outputs);
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

function shapOf(test: Dataset, onnx: Uint8Array): ModelDetail["shap"] {
  let explainer;
  try {
    explainer = createExplainer(onnx);
  } catch (error) {
    // A forest of several classes, the prior: there is nothing to explain.
    if (error instanceof AppError && error.code === "unprocessable") return [];
    throw error;
  }
  const explained = spreadRows(test, EXPLAINED_ROWS);
  const { rows } = explained;
  const { contributions } = explainer.explain(modelBatch(explained, 0, rows));
  const inputs = test.featureNames.length;
  const outputs = contributions.length / (rows * inputs);
  return test.featureNames.map((feature, input) => {
    let sum = 0;
    for (let row = 0; row < rows; row++) {
      for (let output = 0; output < outputs; output++) {
        sum += Math.abs(contributions[(row * inputs + input) * outputs + output]!);
      }
    }
    return { feature, magnitude: sum / rows };
  }).toSorted((a, b) => b.magnitude - a.magnitude);
}

/** From all over the part: rows beside each other are of one entity, or of one time. */
function spreadRows(dataset: Dataset, most: number): Dataset {
  if (dataset.rows <= most) return dataset;
  return selectRows(
    dataset,
    Int32Array.from({ length: most }, (_, row) => Math.floor(row * dataset.rows / most)),
  );
}
