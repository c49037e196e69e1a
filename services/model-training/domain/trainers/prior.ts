import { ALGORITHM_PARAMETERS } from "shared/contracts/model_training.ts";
import { ELEMENT_TYPE, type Node, type Tensor } from "shared/onnx/model_proto.ts";
import { countClasses, requireUsableLabels } from "../classes.ts";
import type { Dataset } from "../dataset.ts";
import { learnVocabularies } from "../encoding.ts";
import { COLUMNS, encodeModelFile, SCORES } from "../model_file.ts";
import { quantileOf } from "../quantile.ts";
import { resolveParameters } from "./parameters.ts";
import type { FitOptions, FittedModel, Trainer } from "./trainer.ts";

/**
 * The baseline that is run beside every other: it gives each row the mean of the training labels, which is the base
 * rate of a binary one, a quantile of them, or the share of each class. A model that is no better has learnt nothing.
 */
export const prior: Trainer = {
  algorithm: "prior",
  tasks: ["binary", "multiclass", "regression"],
  answersQuantiles: true,
  parameters: ALGORITHM_PARAMETERS.prior,
  fit: (train, options) => Promise.try(() => fitPrior(train, options)),
};

function fitPrior(train: Dataset, { task, parameters, quantile }: FitOptions): FittedModel {
  resolveParameters("prior", ALGORITHM_PARAMETERS.prior, parameters);
  requireUsableLabels(train, task, "training");
  const answer = Float32Array.from(
    task === "multiclass"
      ? classShares(train.labels)
      : [quantile === undefined ? meanOf(train.labels) : quantileOf(train.labels, quantile)],
  );
  const vocabularies = learnVocabularies(train);
  return {
    task,
    vocabularies,
    outputs: answer.length,
    facts: task === "multiclass" ? {} : { [quantile === undefined ? "mean" : "quantile"]: answer[0]! },
    predict: ({ rows }) =>
      Float64Array.from({ length: rows * answer.length }, (_, index) => answer[index % answer.length]!),
    toOnnx: (metadata) =>
      encodeModelFile(
        { task, featureNames: train.featureNames, vocabularies, ...constantNodes(answer) },
        metadata,
      ),
  };
}

const meanOf = (labels: Float64Array) => labels.reduce((sum, label) => sum + label, 0) / labels.length;

function classShares(labels: Float64Array): number[] {
  const shares = new Array<number>(countClasses(labels)).fill(0);
  for (const label of labels) shares[label] = shares[label]! + 1 / labels.length;
  return shares;
}

/** The same answer for as many rows as there are: to a column of zeros, whatever stands in it, the answer is added. */
function constantNodes(answer: Float32Array): { nodes: Node[]; initializers: Tensor[] } {
  return {
    nodes: [
      { op: "Gather", inputs: [COLUMNS, "first"], outputs: ["column"], attributes: { axis: { int: 1 } } },
      { op: "IsNaN", inputs: ["column"], outputs: ["missing"] },
      {
        op: "Cast",
        inputs: ["missing"],
        outputs: ["number"],
        attributes: { to: { int: ELEMENT_TYPE.float } },
      },
      { op: "Mul", inputs: ["number", "zero"], outputs: ["nothing"] },
      { op: "Add", inputs: ["nothing", "answer"], outputs: [SCORES] },
    ],
    initializers: [
      { name: "answer", dims: [1, answer.length], type: "float", data: answer },
      { name: "first", dims: [1], type: "int64", data: BigInt64Array.of(0n) },
      { name: "zero", dims: [1], type: "float", data: Float32Array.of(0) },
    ],
  };
}
