import type { Task } from "shared/contracts/signature.ts";
import { logLossOfScore, sigmoid } from "../log_odds.ts";

/** What the trees minimise, as a function of a row's score (their sum). */
export interface Objective {
  /** The score that is best for all rows alike. */
  initialScore(labels: Float64Array): number;
  /** Writes first and second derivatives of each row's loss: `[gradient, hessian]` by row. */
  differentiate(labels: Float64Array, scores: Float64Array, derivatives: Float64Array): void;
  /** Mean loss of the rows. */
  loss(labels: Float64Array, scores: Float64Array): number;
  /** What a score stands for: a probability, or the value itself. */
  output(score: number): number;
}

/** Log loss of a binary label; scores are log odds. */
const logistic: Objective = {
  initialScore(labels) {
    const share = mean(labels);
    return Math.log(share / (1 - share));
  },
  differentiate(labels, scores, derivatives) {
    for (let row = 0; row < labels.length; row++) {
      const probability = sigmoid(scores[row]!);
      derivatives[2 * row] = probability - labels[row]!;
      derivatives[2 * row + 1] = probability * (1 - probability);
    }
  },
  loss(labels, scores) {
    let sum = 0;
    for (let row = 0; row < labels.length; row++) sum += logLossOfScore(labels[row]!, scores[row]!);
    return sum / labels.length;
  },
  output: sigmoid,
};

/** Half the squared error. */
const squared: Objective = {
  initialScore: mean,
  differentiate(labels, scores, derivatives) {
    for (let row = 0; row < labels.length; row++) {
      derivatives[2 * row] = scores[row]! - labels[row]!;
      derivatives[2 * row + 1] = 1;
    }
  },
  loss(labels, scores) {
    let sum = 0;
    for (let row = 0; row < labels.length; row++) sum += (scores[row]! - labels[row]!) ** 2;
    return sum / (2 * labels.length);
  },
  output: (score) => score,
};

export const OBJECTIVES: Readonly<Partial<Record<Task, Objective>>> = {
  binary: logistic,
  regression: squared,
};

function mean(values: Float64Array): number {
  let sum = 0;
  for (const value of values) sum += value;
  return sum / values.length;
}
