import type { ParametersOf } from "shared/contracts/model_training.ts";
import { countClasses, requireUsableLabels } from "../../classes.ts";
import type { Dataset } from "../../dataset.ts";
import { learnVocabularies, type Vocabularies } from "../../encoding.ts";
import { classWeights } from "../class_weights.ts";
import type { FitOptions } from "../trainer.ts";
import { createDesign, type Design, fitStandardiser, type Standardiser } from "./design.ts";
import { byOutput, type LinearProblem } from "./loss.ts";
import { findOptimum } from "./optimum.ts";

/** Weights of standardised features. */
export interface LinearFit {
  vocabularies: Vocabularies;
  standardiser: Standardiser;
  /** Of each code of each category, the part of the training rows that have it. */
  flagShares: Float64Array;
  /** Output after output: of each number its weight, of each category those of its codes, the intercept. */
  parameters: Float64Array;
  outputs: number;
  /** Those over all rows. */
  iterations: number;
}

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
  const flagShares = flagSharesOf(design);
  const { parameters, iterations } = findOptimum(problem, {
    l1,
    l2,
    flagShares,
    maxIterations,
    onIteration: (round, loss) =>
      onProgress?.({ round, rounds: maxIterations, trainingLoss: loss / train.rows }),
  });
  if (outputs > 1) centreIntercepts(parameters, outputs);
  return { vocabularies, standardiser, flagShares, parameters, outputs, iterations };
}

function flagSharesOf({ rows, categories, firsts, numbers, parameters }: Design): Float64Array {
  const counts = new Float64Array(parameters - numbers.length - 1);
  categories.forEach((codes, index) => {
    const first = firsts[index]! - numbers.length;
    for (const code of codes) counts[first + code] = counts[first + code]! + 1;
  });
  return counts.map((count) => count / rows);
}

/** What the intercepts of several classes have in common changes no answer: it becomes 0. */
function centreIntercepts(parameters: Float64Array, outputs: number): void {
  const vectors = byOutput(parameters, outputs);
  const mean = vectors.reduce((sum, own) => sum + own.at(-1)!, 0) / outputs;
  for (const own of vectors) own[own.length - 1] = own.at(-1)! - mean;
}
