import { ALGORITHM_PARAMETERS, type ParametersOf } from "shared/contracts/model_training.ts";
import type { Task } from "shared/contracts/signature.ts";
import { countClasses, requireUsableLabels } from "../../classes.ts";
import type { Dataset } from "../../dataset.ts";
import { learnVocabularies, type Vocabularies } from "../../encoding.ts";
import { encodeModelFile } from "../../model_file.ts";
import { classWeights } from "../class_weights.ts";
import { resolveParameters } from "../parameters.ts";
import type { FitOptions, FittedModel, Trainer } from "../trainer.ts";
import { createDesign, type Design, fitStandardiser, type Standardiser } from "./design.ts";
import { estimateCurvature } from "./curvature.ts";
import { answersOf, linearNodes } from "./linear_model.ts";
import { type LinearProblem, lossAndGradient, scoresOf } from "./loss.ts";
import { minimise } from "./quasi_newton.ts";

/** Logistic regression, multinomial for several classes. A missing number counts as the mean, categories are flags. */
export const logistic: Trainer = {
  algorithm: "logistic",
  tasks: ["binary", "multiclass"],
  answersQuantiles: false,
  parameters: ALGORITHM_PARAMETERS.logistic,
  fit: (train, options) =>
    Promise.try(() => {
      const parameters = resolveParameters("logistic", ALGORITHM_PARAMETERS.logistic, options.parameters);
      return linearModel(fitLinear(train, options, parameters), train, options.task);
    }),
};

/** Linear regression by least squares. A missing number counts as the mean, categories are flags. */
export const linear: Trainer = {
  algorithm: "linear",
  tasks: ["regression"],
  answersQuantiles: false,
  parameters: ALGORITHM_PARAMETERS.linear,
  fit: (train, options) =>
    Promise.try(() => {
      const parameters = resolveParameters("linear", ALGORITHM_PARAMETERS.linear, options.parameters);
      return linearModel(
        fitLinear(train, options, { ...parameters, classWeights: "none" }),
        train,
        options.task,
      );
    }),
};

/** Weights of standardised features. */
export interface LinearFit {
  vocabularies: Vocabularies;
  standardiser: Standardiser;
  /** Of each code of each category, the part of the training rows that have it. */
  flagShares: Float64Array;
  /** Output after output: of each number its weight, of each category those of its codes, the intercept. */
  parameters: Float64Array;
  outputs: number;
  iterations: number;
}

/** Rows whose curvature stands for that of all, a parameter. */
const SAMPLED_ROWS_PER_PARAMETER = 40;

/** @throws {AppError} `invalid` for rows it can't learn from, or when it does not converge */
export function fitLinear(
  train: Dataset,
  { task, onProgress }: FitOptions,
  { l1, l2, maxIterations, classWeights: wanted }: ParametersOf<"logistic">,
): LinearFit {
  requireUsableLabels(train, task, "training");
  const vocabularies = learnVocabularies(train);
  const standardiser = fitStandardiser(train.columns, vocabularies);
  const design = createDesign(train, { vocabularies, standardiser });
  const outputs = task === "multiclass" ? countClasses(train.labels) : 1;
  const weights = classWeights(train, { task, wanted });
  const problem: LinearProblem = { design, labels: train.labels, classWeights: weights, task, outputs };
  const width = design.parameters;
  const isPenalised = (i: number) => (i + 1) % width !== 0;
  const shares = classShares(problem);
  const curvatures = Array.from({ length: outputs }, (_, output) => {
    const share = shares[task === "binary" ? 1 : output]!;
    const scale = task === "regression" ? 1 : Math.max(share * (1 - share), 1e-3);
    const sampled = Math.floor(design.rows / (SAMPLED_ROWS_PER_PARAMETER * width));
    // A squared error's curvature is the same everywhere: with all of it, the first step is the last.
    return estimateCurvature(design, {
      scale,
      l2,
      stride: task === "regression" ? 1 : Math.max(1, sampled),
      // Only steps along the axes keep to the orthant that the slope points to.
      isDiagonal: l1 > 0,
    });
  });
  const { parameters, iterations } = minimise(
    {
      evaluate(parameters, gradient) {
        let value = lossAndGradient(problem, parameters, gradient);
        for (let i = 0; i < parameters.length; i++) {
          if (!isPenalised(i)) continue;
          value += l2 / 2 * parameters[i]! ** 2;
          gradient[i] = gradient[i]! + l2 * parameters[i]!;
        }
        return value;
      },
      precondition: (vector) =>
        curvatures.forEach((curvature, output) =>
          curvature.solve(vector.subarray(output * width, (output + 1) * width))
        ),
    },
    startOf(problem, shares),
    {
      l1: Float64Array.from({ length: outputs * width }, (_, i) => isPenalised(i) ? l1 : 0),
      maxIterations,
      onIteration: (round, loss) =>
        onProgress?.({ round, rounds: maxIterations, trainingLoss: loss / design.rows }),
    },
  );
  return { vocabularies, standardiser, flagShares: flagSharesOf(design), parameters, outputs, iterations };
}

function flagSharesOf({ rows, numbers, flags, parameters }: Design): Float64Array {
  const shares = new Float64Array(parameters - numbers - 1);
  for (const flag of flags) shares[flag - numbers] = shares[flag - numbers]! + 1 / rows;
  return shares;
}

/** Weighted shares of the classes; of a regression the mean label. */
function classShares({ labels, classWeights: weights, task, outputs }: LinearProblem): Float64Array {
  if (task === "regression") {
    return Float64Array.of(labels.reduce((sum, label) => sum + label, 0) / labels.length);
  }
  const shares = new Float64Array(Math.max(2, outputs));
  let total = 0;
  for (const label of labels) {
    shares[label] = shares[label]! + weights[label]!;
    total += weights[label]!;
  }
  return shares.map((share) => share / total);
}

/** The best that intercepts can do alone. */
function startOf({ design, task, outputs }: LinearProblem, shares: Float64Array): Float64Array {
  const start = new Float64Array(outputs * design.parameters);
  const logs = shares.map((share) => Math.log(Math.max(share, 1e-12)));
  const meanLog = logs.reduce((sum, log) => sum + log, 0) / logs.length;
  for (let output = 0; output < outputs; output++) {
    start[(output + 1) * design.parameters - 1] = task === "regression"
      ? shares[0]!
      : task === "binary"
      ? logs[1]! - logs[0]!
      : logs[output]! - meanLog;
  }
  return start;
}

function linearModel(fit: LinearFit, { featureNames }: Dataset, task: Task): FittedModel {
  const { vocabularies, parameters, outputs, iterations } = fit;
  return {
    task,
    vocabularies,
    outputs,
    facts: { iterations, nonzero: parameters.reduce((count, value) => count + (value === 0 ? 0 : 1), 0) },
    predict: (dataset) => answersOf(task, scoresOf(designOf(dataset, fit), parameters, outputs), outputs),
    toOnnx: (metadata) =>
      encodeModelFile({ task, featureNames, vocabularies, ...linearNodes(fit, task) }, metadata),
  };
}

const designOf = (dataset: Dataset, fit: LinearFit): Design => createDesign(dataset, fit);
