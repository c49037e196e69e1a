import { quantileOf, quantileOfSorted } from "../../quantile.ts";
import { logLossOfScore, sigmoid } from "../log_odds.ts";
import type { Link } from "./tree_model.ts";

/** Scores, gradients and hessians of several classes lie class after class: `[class * rows + row]`. */
export interface Labelled {
  labels: Float64Array;
  /** Of the classes in the loss; of a regression [1]. */
  weights: Float64Array;
}

/** What the trees minimise, as a function of a row's scores (the sums of their trees). */
export interface Objective {
  link: Link;
  /** The scores that are best for all rows alike. */
  initialScores(data: Labelled): Float64Array;
  /** Writes first and second derivatives of the loss of rows `from` to `to`. */
  differentiate(
    data: Labelled,
    state: { scores: Float64Array; gradients: Float32Array; hessians: Float32Array },
    range: { from: number; to: number },
  ): void;
  /** The sum of the losses of rows `from` to `to`. */
  loss(data: Labelled, scores: Float64Array, range: { from: number; to: number }): number;
  /**
   * The best value of a leaf, by what its rows' scores lack of their labels. Absent: a Newton step.
   *
   * @param lacks is put into order
   */
  leafValue?(lacks: Float64Array): number;
}

/** By a name, since functions can't be sent to a thread. */
export type ObjectiveName = "logistic" | "softmax" | "squared" | "pinball" | "means";

/** @param options.quantile of `pinball`; default: 0.5 */
export function createObjective(
  name: ObjectiveName,
  { classes, quantile = 0.5 }: { classes: number; quantile?: number | undefined },
): Objective {
  switch (name) {
    case "logistic":
      return logistic;
    case "softmax":
      return softmax;
    case "squared":
      return squared;
    case "pinball":
      return pinball(quantile);
    case "means":
      return means(classes);
  }
}

/** Log loss of a binary label; scores are log odds. */
const logistic: Objective = {
  link: "sigmoid",
  initialScores({ labels, weights }) {
    const [negative, positive] = classTotals({ labels, weights });
    return Float64Array.of(Math.log(positive! / negative!));
  },
  differentiate({ labels, weights }, { scores, gradients, hessians }, { from, to }) {
    const [negative, positive] = [weights[0]!, weights[1]!];
    for (let row = from; row < to; row++) {
      const label = labels[row]!;
      const weight = label === 1 ? positive : negative;
      const probability = sigmoid(scores[row]!);
      gradients[row] = weight * (probability - label);
      hessians[row] = weight * (probability * (1 - probability));
    }
  },
  loss({ labels, weights }, scores, { from, to }) {
    let sum = 0;
    for (let row = from; row < to; row++) {
      sum += weights[labels[row]!]! * logLossOfScore(labels[row]!, scores[row]!);
    }
    return sum;
  },
};

/**
 * Log loss of several classes; the scores' softmax are the probabilities (Friedman, "Greedy function approximation",
 * 2001, algorithm 6, whose factor (K - 1) / K for one redundant score stands in the hessian here).
 */
const softmax: Objective = {
  link: "softmax",
  initialScores(data) {
    const totals = classTotals(data);
    const all = totals.reduce((sum, total) => sum + total, 0);
    return totals.map((total) => Math.log(total / all));
  },
  differentiate({ labels, weights }, { scores, gradients, hessians }, { from, to }) {
    const rows = labels.length;
    const classes = weights.length;
    const factor = classes / (classes - 1);
    const probabilities = new Float64Array(classes);
    for (let row = from; row < to; row++) {
      softmaxOf(scores, { rows, row }, probabilities);
      const label = labels[row]!;
      const weight = weights[label]!;
      for (let number = 0; number < classes; number++) {
        const probability = probabilities[number]!;
        gradients[number * rows + row] = weight * (probability - (number === label ? 1 : 0));
        hessians[number * rows + row] = weight * factor * probability * (1 - probability);
      }
    }
  },
  loss({ labels, weights }, scores, { from, to }) {
    const rows = labels.length;
    const probabilities = new Float64Array(weights.length);
    let sum = 0;
    for (let row = from; row < to; row++) {
      softmaxOf(scores, { rows, row }, probabilities);
      sum -= weights[labels[row]!]! * Math.log(Math.max(Number.MIN_VALUE, probabilities[labels[row]!]!));
    }
    return sum;
  },
};

/** Half the squared error. */
const squared: Objective = {
  link: "identity",
  initialScores: ({ labels }) =>
    Float64Array.of(labels.reduce((sum, label) => sum + label, 0) / labels.length),
  differentiate({ labels }, { scores, gradients, hessians }, { from, to }) {
    for (let row = from; row < to; row++) {
      gradients[row] = scores[row]! - labels[row]!;
      hessians[row] = 1;
    }
  },
  loss({ labels }, scores, { from, to }) {
    let sum = 0;
    for (let row = from; row < to; row++) sum += (scores[row]! - labels[row]!) ** 2;
    return sum / 2;
  },
};

/**
 * Pinball loss. It has no curvature to step by: trees part the rows by its slope, and a leaf takes the quantile of what
 * its rows still lack, as Friedman's least absolute deviation does for the median ("Greedy function approximation", 2001,
 * algorithm 3).
 */
function pinball(quantile: number): Objective {
  return {
    link: "identity",
    initialScores: ({ labels }) => Float64Array.of(quantileOf(labels, quantile)),
    differentiate({ labels }, { scores, gradients, hessians }, { from, to }) {
      for (let row = from; row < to; row++) {
        gradients[row] = scores[row]! >= labels[row]! ? 1 - quantile : -quantile;
        hessians[row] = 1;
      }
    },
    loss({ labels }, scores, { from, to }) {
      let sum = 0;
      for (let row = from; row < to; row++) {
        const lacks = labels[row]! - scores[row]!;
        sum += Math.max(quantile * lacks, (quantile - 1) * lacks);
      }
      return sum;
    },
    leafValue: (lacks) => quantileOfSorted(lacks.sort(), quantile),
  };
}

/**
 * What a forest's trees learn: the weighted mean of the label in each leaf, or of each class's flag. Scores play no
 * part, since the trees are averaged.
 */
function means(classes: number): Objective {
  return {
    link: classes > 1 ? "shares" : "identity",
    initialScores: () => new Float64Array(classes),
    differentiate({ labels, weights }, { gradients, hessians }, { from, to }) {
      const rows = labels.length;
      const isOfClasses = weights.length > 1;
      for (let row = from; row < to; row++) {
        const label = labels[row]!;
        const weight = isOfClasses ? weights[label]! : 1;
        for (let number = 0; number < classes; number++) {
          const target = classes > 1 ? (label === number ? 1 : 0) : label;
          gradients[number * rows + row] = -weight * target;
          hessians[number * rows + row] = weight;
        }
      }
    },
    loss: () => NaN,
  };
}

function softmaxOf(
  scores: Float64Array,
  at: { rows: number; row: number },
  probabilities: Float64Array,
): void {
  let highest = -Infinity;
  for (let number = 0; number < probabilities.length; number++) {
    highest = Math.max(highest, scores[number * at.rows + at.row]!);
  }
  let sum = 0;
  for (let number = 0; number < probabilities.length; number++) {
    const value = Math.exp(scores[number * at.rows + at.row]! - highest);
    probabilities[number] = value;
    sum += value;
  }
  for (let number = 0; number < probabilities.length; number++) {
    probabilities[number] = probabilities[number]! / sum;
  }
}

/** The weight of all rows of each class. */
function classTotals({ labels, weights }: Labelled): Float64Array {
  const totals = new Float64Array(weights.length);
  for (const label of labels) totals[label] = totals[label]! + weights[label]!;
  return totals;
}
