import { requireUsableLabels } from "../dataset.ts";
import { encodeModelFile } from "../model_file.ts";
import { ensembleNodes } from "./gbdt/tree_onnx.ts";
import { resolveParameters } from "./parameters.ts";
import type { Trainer } from "./trainer.ts";

/**
 * The baseline that is run beside every other: it gives each row the mean of the training labels, which is the base
 * rate of a binary one. A model that is no better has learnt nothing.
 */
export const prior: Trainer = {
  algorithm: "prior",
  tasks: ["binary", "regression"],
  parameters: {},
  fit(train, { task, parameters }) {
    resolveParameters("prior", {}, parameters);
    requireUsableLabels(train.labels, task, "training");
    const mean = Math.fround(train.labels.reduce((sum, label) => sum + label, 0) / train.rows);
    return {
      task,
      facts: { mean },
      predict: (dataset) => new Float64Array(dataset.rows).fill(mean),
      toOnnx: (metadata) =>
        encodeModelFile({
          task,
          featureNames: train.featureNames,
          ...ensembleNodes({ base: mean, trees: [], link: "identity" }),
        }, metadata),
    };
  },
};
