import { ALGORITHM_PARAMETERS } from "shared/contracts/model_training.ts";
import type { Task } from "shared/contracts/signature.ts";
import type { Dataset } from "../../dataset.ts";
import { encodeModelFile } from "../../model_file.ts";
import { resolveParameters } from "../parameters.ts";
import type { FittedModel, Trainer } from "../trainer.ts";
import { answersOf } from "./answers.ts";
import { createDesign } from "./design.ts";
import { fitLinear, type LinearFit } from "./fit_linear.ts";
import { linearNodes } from "./linear_model.ts";
import { scoresOf } from "./loss.ts";

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

function linearModel(fit: LinearFit, { featureNames }: Dataset, task: Task): FittedModel {
  const { vocabularies, parameters, outputs, iterations } = fit;
  return {
    task,
    vocabularies,
    outputs,
    facts: { iterations, nonzero: parameters.reduce((count, value) => count + (value === 0 ? 0 : 1), 0) },
    predict: (dataset) =>
      rowByRow(answersOf(task, scoresOf(createDesign(dataset, fit), parameters, outputs))),
    toOnnx: (metadata) =>
      encodeModelFile({ task, featureNames, vocabularies, ...linearNodes(fit, task) }, metadata),
  };
}

/** [outputs][rows] as [rows, outputs]. */
function rowByRow(answers: Float64Array[]): Float64Array {
  if (answers.length === 1) return answers[0]!;
  const rows = answers[0]!.length;
  const together = new Float64Array(rows * answers.length);
  answers.forEach((own, k) => own.forEach((value, row) => together[row * answers.length + k] = value));
  return together;
}
