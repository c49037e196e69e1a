import { ELEMENT_TYPE, type Node, type Tensor } from "shared/onnx/model_proto.ts";
import { ALGORITHM_PARAMETERS } from "shared/contracts/model_training.ts";
import { type Dataset, requireUsableLabels } from "../../dataset.ts";
import { encodeColumns, learnVocabularies, type Vocabularies } from "../../encoding.ts";
import { COLUMNS, encodeModelFile, type Estimator, SCORES } from "../../model_file.ts";
import { sigmoid } from "../log_odds.ts";
import { resolveParameters } from "../parameters.ts";
import type { FitOptions, FittedModel, Trainer } from "../trainer.ts";
import { fitLogistic, type LinearFit } from "./newton.ts";
import { fitStandardiser, standardise, type Standardiser } from "./standardiser.ts";

/** Logistic regression on standardised features with an L2 penalty; a missing value counts as the mean. */
export const logistic: Trainer = {
  algorithm: "logistic",
  tasks: ["binary"],
  parameters: ALGORITHM_PARAMETERS.logistic,
  fit: (given, options) => Promise.try(() => fitLine(given, options)),
};

function fitLine(given: Dataset, { task, parameters, onProgress }: FitOptions): FittedModel {
  const { l2, maxIterations } = resolveParameters("logistic", ALGORITHM_PARAMETERS.logistic, parameters);
  const vocabularies = learnVocabularies(given);
  const train = { ...given, columns: encodeColumns(given, vocabularies) };
  requireUsableLabels(train.labels, task, "training");
  const standardiser = fitStandardiser(train);
  const design = {
    values: standardise(train, standardiser),
    features: train.columns.length,
    labels: train.labels,
  };
  const fit = fitLogistic(design, {
    l2,
    maxIterations,
    onIteration: (round, trainingLoss) => onProgress?.({ round, rounds: maxIterations, trainingLoss }),
  });
  return linearModel({ featureNames: train.featureNames, vocabularies, standardiser }, fit);
}

function linearModel(
  { featureNames, vocabularies, standardiser }: {
    featureNames: readonly string[];
    vocabularies: Vocabularies;
    standardiser: Standardiser;
  },
  { weights, intercept, iterations }: LinearFit,
): FittedModel {
  return {
    task: "binary",
    vocabularies,
    outputs: 1,
    facts: { iterations },
    predict(dataset) {
      const values = standardise({ ...dataset, columns: encodeColumns(dataset, vocabularies) }, standardiser);
      return Float64Array.from({ length: dataset.rows }, (_, row) => {
        let score = intercept;
        for (let i = 0; i < weights.length; i++) score += weights[i]! * values[row * weights.length + i]!;
        return sigmoid(score);
      });
    },
    toOnnx: (metadata) =>
      encodeModelFile(
        { task: "binary", featureNames, vocabularies, ...linearNodes(standardiser, { weights, intercept }) },
        metadata,
      ),
  };
}

/**
 * In float64 up to the probability: with float32, the difference between a large value and a large mean would be
 * off by more than the 1e-5 that a file's answers may differ from the trainer's.
 */
function linearNodes(
  { means, factors }: Standardiser,
  { weights, intercept }: Pick<LinearFit, "weights" | "intercept">,
): Pick<Estimator, "nodes" | "initializers"> {
  const width = weights.length;
  const vector = (name: string, data: Float64Array): Tensor => ({
    name,
    dims: [width],
    type: "double",
    data,
  });
  const initializers: Tensor[] = [
    vector("means", means),
    vector("factors", factors),
    { name: "weights", dims: [width, 1], type: "double", data: weights },
    { name: "intercept", dims: [1], type: "double", data: Float64Array.of(intercept) },
  ];
  const nodes: Node[] = [
    { op: "Cast", inputs: [COLUMNS], outputs: ["raw"], attributes: { to: { int: ELEMENT_TYPE.double } } },
    { op: "IsNaN", inputs: ["raw"], outputs: ["missing"] },
    { op: "Where", inputs: ["missing", "means", "raw"], outputs: ["imputed"] },
    { op: "Sub", inputs: ["imputed", "means"], outputs: ["centred"] },
    { op: "Mul", inputs: ["centred", "factors"], outputs: ["standardised"] },
    { op: "MatMul", inputs: ["standardised", "weights"], outputs: ["weighted"] },
    { op: "Add", inputs: ["weighted", "intercept"], outputs: ["score"] },
    { op: "Sigmoid", inputs: ["score"], outputs: ["precise"] },
    { op: "Cast", inputs: ["precise"], outputs: [SCORES], attributes: { to: { int: ELEMENT_TYPE.float } } },
  ];
  return { nodes, initializers };
}
