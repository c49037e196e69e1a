import { ALGORITHM_PARAMETERS } from "shared/contracts/model_training.ts";
import type { Task } from "shared/contracts/signature.ts";
import { invalid } from "shared/errors.ts";
import { classWeights } from "./class_weights.ts";
import { resolveParameters } from "./parameters.ts";
import type { Trainer } from "./trainer.ts";
import type { ObjectiveName } from "./trees/objective.ts";
import { fitTreeModel } from "./trees/tree_trainer.ts";

/**
 * Gradient-boosted trees on histograms: log loss for classes, for a regression squared error, or the
 * pinball loss of a quantile. Missing values go to the
 * side on which they gain more, categories are split by sets.
 */
export const gbdt: Trainer = {
  algorithm: "gbdt",
  tasks: ["binary", "multiclass", "regression"],
  answersQuantiles: true,
  parameters: ALGORITHM_PARAMETERS.gbdt,
  async fit(train, options) {
    const parameters = resolveParameters("gbdt", ALGORITHM_PARAMETERS.gbdt, options.parameters);
    const { task, quantile } = options;
    if (quantile !== undefined && Object.keys(parameters.monotone).length > 0) {
      throw invalid("Cannot use the parameter monotone: trees that answer a quantile have no direction");
    }
    return await fitTreeModel(train, options, {
      objective: objectiveOf(task, quantile),
      weights: classWeights(train, { task, wanted: parameters.classWeights }),
      monotone: parameters.monotone,
      rules: { ...parameters, isBoosted: true, splitFraction: 1 },
    });
  },
};

function objectiveOf(task: Task, quantile: number | undefined): ObjectiveName {
  if (task === "binary") return "logistic";
  if (task === "multiclass") return "softmax";
  return quantile === undefined ? "squared" : "pinball";
}
