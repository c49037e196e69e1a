import { invalid } from "shared/errors.ts";
import { logLossOfScore, sigmoid } from "../log_odds.ts";

/** Rows of a design matrix with their labels. */
export interface DesignMatrix {
  /** Shape [rows, features], row by row. */
  values: Float64Array;
  features: number;
  /** 0 or 1. */
  labels: Float64Array;
}

export interface NewtonOptions {
  /** Penalty: half of it times the sum of the squared weights, the intercept's left out. */
  l2: number;
  maxIterations: number;
  onIteration?: (iteration: number, meanLoss: number) => void;
}

export interface LinearFit {
  weights: Float64Array;
  intercept: number;
  iterations: number;
}

/** The step is as good as done when it promises less than this part of the objective. */
const TOLERANCE = 1e-14;
/** Part of the promised decrease that a step must keep (Nocedal and Wright, "Numerical Optimization", 3.4). */
const SUFFICIENT_DECREASE = 1e-4;
const MAX_HALVINGS = 40;

/**
 * Minimises the sum of the log losses plus the penalty by Newton's method with step halving (iteratively
 * reweighted least squares: Hastie, Tibshirani and Friedman, "The Elements of Statistical Learning", 4.4.1).
 *
 * @throws {AppError} `invalid` when it does not converge, or the features are collinear beyond what l2 mends
 */
export function fitLogistic(design: DesignMatrix, options: NewtonOptions): LinearFit {
  const { l2, maxIterations, onIteration } = options;
  const size = design.features + 1;
  // The last parameter is the intercept.
  let parameters: Float64Array = new Float64Array(size);
  let objective = penalisedLoss(design, parameters, l2);
  for (let iteration = 1; iteration <= maxIterations; iteration++) {
    const { gradient, hessian } = derivatives(design, parameters, l2);
    const step = solvePositiveDefinite(hessian, gradient);
    const promised = step.reduce((sum, value, i) => sum + value * gradient[i]!, 0);
    const moved = descend(design, { parameters, step, objective, promised, l2 });
    parameters = moved.parameters;
    objective = moved.objective;
    onIteration?.(iteration, objective / design.labels.length);
    if (promised <= TOLERANCE * Math.max(1, objective)) {
      return { weights: parameters.slice(0, -1), intercept: parameters[size - 1]!, iterations: iteration };
    }
  }
  throw invalid(
    `Cannot fit the logistic regression: it has not converged after ${maxIterations} iterations, l2 is ${l2} and should be larger`,
  );
}

interface Point {
  parameters: Float64Array;
  objective: number;
}

/** Goes along the step, halving it until the objective falls enough. */
function descend(
  design: DesignMatrix,
  from: Point & { step: Float64Array; promised: number; l2: number },
): Point {
  // What rounding can do to a sum over the rows is no reason to halve.
  const slack = TOLERANCE * 100 * Math.max(1, from.objective);
  let length = 1;
  for (let halving = 0; halving <= MAX_HALVINGS; halving++) {
    const parameters = from.parameters.map((value, i) => value - length * from.step[i]!);
    const objective = penalisedLoss(design, parameters, from.l2);
    if (objective <= from.objective - SUFFICIENT_DECREASE * length * from.promised + slack) {
      return { parameters, objective };
    }
    length /= 2;
  }
  throw invalid("Cannot fit the logistic regression: no step makes the loss smaller");
}

function penalisedLoss(design: DesignMatrix, parameters: Float64Array, l2: number): number {
  let loss = 0;
  for (let row = 0; row < design.labels.length; row++) {
    loss += logLossOfScore(design.labels[row]!, scoreOf(design, parameters, row));
  }
  let squares = 0;
  for (let i = 0; i < design.features; i++) squares += parameters[i]! ** 2;
  return loss + (l2 / 2) * squares;
}

function scoreOf({ values, features }: DesignMatrix, parameters: Float64Array, row: number): number {
  let score = parameters[features]!;
  for (let i = 0; i < features; i++) score += parameters[i]! * values[row * features + i]!;
  return score;
}

/** The gradient, and the lower triangle of the Hessian as a full matrix, row by row. */
function derivatives(
  design: DesignMatrix,
  parameters: Float64Array,
  l2: number,
): { gradient: Float64Array; hessian: Float64Array } {
  const { values, features, labels } = design;
  const size = features + 1;
  const gradient = new Float64Array(size);
  const hessian = new Float64Array(size * size);
  const row = new Float64Array(size).fill(1);
  for (let r = 0; r < labels.length; r++) {
    for (let i = 0; i < features; i++) row[i] = values[r * features + i]!;
    const probability = sigmoid(scoreOf(design, parameters, r));
    const residual = probability - labels[r]!;
    const weight = probability * (1 - probability);
    for (let i = 0; i < size; i++) {
      gradient[i] = gradient[i]! + residual * row[i]!;
      const weighted = weight * row[i]!;
      for (let j = 0; j <= i; j++) hessian[i * size + j] = hessian[i * size + j]! + weighted * row[j]!;
    }
  }
  for (let i = 0; i < features; i++) {
    gradient[i] = gradient[i]! + l2 * parameters[i]!;
    hessian[i * size + i] = hessian[i * size + i]! + l2;
  }
  return { gradient, hessian };
}

/** Solves matrix x = vector by Cholesky's decomposition, reading the lower triangle, which it overwrites. */
function solvePositiveDefinite(matrix: Float64Array, vector: Float64Array): Float64Array {
  const size = vector.length;
  const solution = vector.slice();
  for (let i = 0; i < size; i++) {
    for (let j = 0; j <= i; j++) {
      let sum = matrix[i * size + j]!;
      for (let k = 0; k < j; k++) sum -= matrix[i * size + k]! * matrix[j * size + k]!;
      if (i !== j) matrix[i * size + j] = sum / matrix[j * size + j]!;
      else if (sum > 0) matrix[i * size + i] = Math.sqrt(sum);
      else {
        throw invalid(
          "Cannot fit the logistic regression: its features are collinear, or separate the classes entirely; l2 should be larger",
        );
      }
    }
    for (let k = 0; k < i; k++) solution[i] = solution[i]! - matrix[i * size + k]! * solution[k]!;
    solution[i] = solution[i]! / matrix[i * size + i]!;
  }
  for (let i = size - 1; i >= 0; i--) {
    for (let k = i + 1; k < size; k++) solution[i] = solution[i]! - matrix[k * size + i]! * solution[k]!;
    solution[i] = solution[i]! / matrix[i * size + i]!;
  }
  return solution;
}
