import { ALGORITHM_PARAMETERS } from "shared/contracts/model_training.ts";
import { classWeights } from "./class_weights.ts";
import { resolveParameters } from "./parameters.ts";
import type { Trainer } from "./trainer.ts";
import { fitTreeModel } from "./trees/tree_trainer.ts";

/**
 * Gradient-boosted trees on histograms: log loss for classes, squared error for a regression. Missing values go to the
 * side on which they gain more, categories are split by sets.
 */
export const gbdt: Trainer = {
  algorithm: "gbdt",
  tasks: ["binary", "multiclass", "regression"],
  parameters: ALGORITHM_PARAMETERS.gbdt,
  async fit(train, options) {
    const parameters = resolveParameters("gbdt", ALGORITHM_PARAMETERS.gbdt, options.parameters);
    const { task } = options;
    return await fitTreeModel(train, options, {
      objective: task === "binary" ? "logistic" : task === "multiclass" ? "softmax" : "squared",
      weights: classWeights(train, { task, wanted: parameters.classWeights }),
      monotone: parameters.monotone,
      rules: { ...parameters, isBoosted: true, splitFraction: 1 },
    });
  },
};
