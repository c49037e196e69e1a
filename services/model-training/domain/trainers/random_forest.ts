import { ALGORITHM_PARAMETERS } from "shared/contracts/model_training.ts";
import { classWeights } from "./class_weights.ts";
import { resolveParameters } from "./parameters.ts";
import type { Trainer } from "./trainer.ts";
import { fitTreeModel } from "./trees/tree_trainer.ts";

/**
 * Random forest (Breiman, "Random forests", 2001): trees on samples of the rows, each split on a sample of the features,
 * averaged. The variance that a split takes away is, of a flag, its Gini impurity; several classes have a tree each in
 * every round, and their means are brought to a sum of 1.
 */
export const randomForest: Trainer = {
  algorithm: "random_forest",
  tasks: ["binary", "multiclass", "regression"],
  answersQuantiles: false,
  parameters: ALGORITHM_PARAMETERS.random_forest,
  async fit(train, options) {
    const parameters = resolveParameters(
      "random_forest",
      ALGORITHM_PARAMETERS.random_forest,
      options.parameters,
    );
    const { task } = options;
    const { trees, featureFraction, ...shape } = parameters;
    const features = train.columns.length;
    const usual = task === "regression" ? 1 / 3 : 1 / Math.sqrt(features);
    return await fitTreeModel(train, options, {
      objective: "means",
      weights: classWeights(train, { task, wanted: parameters.classWeights }),
      monotone: parameters.monotone,
      rules: {
        ...shape,
        rounds: trees,
        learningRate: 1 / trees,
        isBoosted: false,
        featureFraction: 1,
        splitFraction: featureFraction ?? usual,
        earlyStoppingRounds: 0,
      },
    });
  },
};
