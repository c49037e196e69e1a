import type { Task } from "shared/contracts/signature.ts";
import { logLossOfScore, sigmoid } from "../log_odds.ts";
import type { Design } from "./design.ts";

export interface LinearProblem {
  design: Design;
  /** 0 or 1, the number of the class, or the value. */
  labels: Float64Array;
  /** Of the classes in the loss; of a regression [1]. */
  classWeights: Float64Array;
  task: Task;
  /** Scores of a row: the number of classes of a multiclass task, else 1. */
  outputs: number;
}

/**
 * The sum of the rows' losses (log loss, or half the squared error) at the parameters, whose gradient is written to
 * `gradient`. One pass: a row's values are used for its score and for the gradient while they are at hand.
 *
 * @param parameters output after output, each of `design.parameters`
 */
export function lossAndGradient(
  problem: LinearProblem,
  parameters: Float64Array,
  gradient: Float64Array,
): number {
  const { design, labels, outputs } = problem;
  const { rows, values, numbers, flags, categories, parameters: width } = design;
  gradient.fill(0);
  const scores = new Float64Array(outputs);
  const residuals = new Float64Array(outputs);
  const lossOfRow = lossOf(problem);
  let loss = 0;
  for (let row = 0; row < rows; row++) {
    const at = row * numbers;
    for (let output = 0; output < outputs; output++) {
      const base = output * width;
      let score = parameters[base + width - 1]!;
      for (let i = 0; i < numbers; i++) score += parameters[base + i]! * values[at + i]!;
      for (let c = row * categories; c < (row + 1) * categories; c++) score += parameters[base + flags[c]!]!;
      scores[output] = score;
    }
    loss += lossOfRow(labels[row]!, scores, residuals);
    for (let output = 0; output < outputs; output++) {
      const residual = residuals[output]!;
      const base = output * width;
      for (let i = 0; i < numbers; i++) {
        gradient[base + i] = gradient[base + i]! + residual * values[at + i]!;
      }
      for (let c = row * categories; c < (row + 1) * categories; c++) {
        gradient[base + flags[c]!] = gradient[base + flags[c]!]! + residual;
      }
      gradient[base + width - 1] = gradient[base + width - 1]! + residual;
    }
  }
  return loss;
}

/** The loss of a row, and its derivatives by the scores. */
function lossOf(
  { task, classWeights }: LinearProblem,
): (label: number, scores: Float64Array, residuals: Float64Array) => number {
  switch (task) {
    case "regression":
      return (label, scores, residuals) => {
        const residual = scores[0]! - label;
        residuals[0] = residual;
        return residual * residual / 2;
      };
    case "binary": {
      const [negative, positive] = [classWeights[0]!, classWeights[1]!];
      return (label, scores, residuals) => {
        const weight = label === 1 ? positive : negative;
        residuals[0] = weight * (sigmoid(scores[0]!) - label);
        return weight * logLossOfScore(label, scores[0]!);
      };
    }
    case "multiclass":
      return (label, scores, residuals) => {
        const weight = classWeights[label]!;
        let highest = -Infinity;
        for (let k = 0; k < scores.length; k++) highest = Math.max(highest, scores[k]!);
        let sum = 0;
        for (let k = 0; k < scores.length; k++) {
          const value = Math.exp(scores[k]! - highest);
          residuals[k] = value;
          sum += value;
        }
        for (let k = 0; k < scores.length; k++) {
          residuals[k] = weight * (residuals[k]! / sum - (k === label ? 1 : 0));
        }
        return weight * (Math.log(sum) + highest - scores[label]!);
      };
  }
}

/** Scores of each row: [rows, outputs]. */
export function scoresOf(design: Design, parameters: Float64Array, outputs: number): Float64Array {
  const { rows, values, numbers, flags, categories, parameters: width } = design;
  const scores = new Float64Array(rows * outputs);
  for (let row = 0; row < rows; row++) {
    for (let output = 0; output < outputs; output++) {
      const base = output * width;
      let score = parameters[base + width - 1]!;
      for (let i = 0; i < numbers; i++) score += parameters[base + i]! * values[row * numbers + i]!;
      for (let c = row * categories; c < (row + 1) * categories; c++) score += parameters[base + flags[c]!]!;
      scores[row * outputs + output] = score;
    }
  }
  return scores;
}
