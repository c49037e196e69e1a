import { invalid } from "shared/errors.ts";
import { type Curvature, curvatureAt } from "./curvature.ts";
import { type LinearProblem, lossAndGradient } from "./loss.ts";
import { minimise, type Minimum, type SmoothFunction } from "./quasi_newton.ts";
import { planSample, sampleProblem } from "./sample.ts";

export interface OptimumOptions {
  l1: number;
  /** Half of it times the sum of the squared parameters, intercepts apart, is added to the loss. */
  l2: number;
  /** Of each code of each category, the part of the rows that have it. */
  flagShares: Float64Array;
  /** Over all rows. */
  maxIterations: number;
  /** Told the penalised loss at the beginning of each. */
  onIteration?: (iteration: number, loss: number) => void;
}

/** A step over all rows that promises less than this part of the loss is the last. */
const TOLERANCE = 1e-11;
/** The same over the sample, whose optimum is further than that from the one of all rows. */
const SAMPLE_TOLERANCE = 1e-4;
const SAMPLE_ITERATIONS = 100;

/**
 * The optimum over all rows, by a quasi-Newton method that begins at the optimum of a sample, with the second derivatives
 * there: those of all rows are nearly the same (Byrd, Chin, Neveitt and Nocedal, "On the use of stochastic Hessian
 * information in optimization methods for machine learning", 2011; Erdogdu and Montanari, "Convergence rates of
 * sub-sampled Newton methods", 2015). What the sample has got wrong costs passes over the rows, never accuracy.
 *
 * @throws {AppError} `invalid` when it does not converge
 */
export function findOptimum(
  problem: LinearProblem,
  { l1, l2, flagShares, maxIterations, onIteration = () => {} }: OptimumOptions,
): Minimum {
  const { design, outputs } = problem;
  const penalties = (penalty: number) =>
    Float64Array.from(
      { length: outputs * design.parameters },
      (_, i) => (i + 1) % design.parameters === 0 ? 0 : penalty,
    );
  const l1s = penalties(l1);
  const classRows = countClassRows(problem);
  const { wanted, form } = planSample(problem, { hasL1: l1 > 0 });
  const sample = sampleProblem(problem, { classRows, wanted });
  const shares = Float64Array.of(...design.numbers.map(() => 1), ...flagShares, 1);
  const curvatureOf = (parameters: Float64Array) => curvatureAt(sample, parameters, { l2, form, shares });

  const origin = interceptsAlone(problem, classRows);
  // A penalty as of one row of the sample: without it, a sample that a plane parts would lead far astray.
  const sampleL2 = penalties(l2 + design.rows / sample.design.rows);
  const { parameters: start } = minimise(penalised(sample, sampleL2, curvatureOf(origin)), origin, {
    l1: l1s,
    tolerance: SAMPLE_TOLERANCE,
    maxIterations: SAMPLE_ITERATIONS,
  });
  const optimum = minimise(penalised(problem, penalties(l2), curvatureOf(start)), start, {
    l1: l1s,
    tolerance: TOLERANCE,
    maxIterations,
    onIteration,
  });
  if (optimum.hasConverged) return optimum;
  throw invalid(
    `Cannot fit the linear model: it has not converged after ${maxIterations} iterations: allow more, or raise l2`,
  );
}

/** The loss of a problem with half the squared parameters, each times its penalty. */
function penalised(problem: LinearProblem, l2: Float64Array, curvature: Curvature): SmoothFunction {
  return {
    evaluate(parameters, gradient) {
      let value = lossAndGradient(problem, parameters, gradient);
      for (let i = 0; i < parameters.length; i++) {
        value += l2[i]! / 2 * parameters[i]! ** 2;
        gradient[i] = gradient[i]! + l2[i]! * parameters[i]!;
      }
      return value;
    },
    precondition: (vector) => curvature.solve(vector),
  };
}

/** How many rows each class has; of a regression all are of one. */
function countClassRows({ labels, classWeights: { length }, task }: LinearProblem): Float64Array {
  if (task === "regression") return Float64Array.of(labels.length);
  const counts = new Float64Array(length);
  for (let row = 0; row < labels.length; row++) counts[labels[row]!] = counts[labels[row]!]! + 1;
  return counts;
}

/** The best that intercepts can do alone. */
function interceptsAlone(
  { design, labels, classWeights, task, outputs }: LinearProblem,
  classRows: Float64Array,
): Float64Array {
  const start = new Float64Array(outputs * design.parameters);
  const logs = classRows.map((rows, own) => Math.log(Math.max(rows * classWeights[own]!, 1e-12)));
  const meanLog = logs.reduce((sum, log) => sum + log, 0) / logs.length;
  for (let output = 0; output < outputs; output++) {
    start[(output + 1) * design.parameters - 1] = task === "regression"
      ? labels.reduce((sum, label) => sum + label, 0) / labels.length
      : task === "binary"
      ? logs[1]! - logs[0]!
      : logs[output]! - meanLog;
  }
  return start;
}
