import { answersOf } from "./answers.ts";
import { decompose, solve } from "./cholesky.ts";
import type { Design } from "./design.ts";
import { byOutput, type LinearProblem, scoresOf } from "./loss.ts";

/**
 * A parameter has at least this part of the curvature that its share of all rows makes likely: with less, the sample has
 * missed the rows that it counts in.
 */
const LEAST_SEEN = 0.1;
/** Flags that add up to 1 are collinear with the intercept: without a little more, it could not be divided by. */
const RIDGE = 1e-9;

/** Which parameters are taken together: those of all outputs, those of each output, or none. */
export type CurvatureForm = "joint" | "by_output" | "diagonal";

/** Second derivatives that can be divided by. */
export interface Curvature {
  /** Solves curvature x = vector, in place. */
  solve(vector: Float64Array): void;
}

/**
 * The second derivatives of the penalised loss at the parameters.
 *
 * @param options.shares for each parameter of an output the mean of its squared value over all rows, of which those of
 * the problem may be a sample
 */
export function curvatureAt(
  problem: LinearProblem,
  parameters: Float64Array,
  { l2, form, shares }: { l2: number; form: CurvatureForm; shares: Float64Array },
): Curvature {
  const answers = answersOf(problem.task, scoresOf(problem.design, parameters, problem.outputs));
  const width = problem.design.parameters;
  const together = form === "joint" ? problem.outputs : 1;
  const blocks = Array.from({ length: problem.outputs / together }, (_, index) => {
    const outputs = Array.from({ length: together }, (_, k) => index * together + k);
    const isDense = form !== "diagonal";
    const matrix = secondMoments(problem, { answers, outputs, isDense });
    const at = (i: number) => isDense ? i * (width * together + 1) : i;
    for (let i = 0; i < width * together; i++) {
      const parameter = i % width;
      const ofIntercept = matrix[at(i - parameter + width - 1)]!;
      matrix[at(i)] = Math.max(matrix[at(i)]!, LEAST_SEEN * shares[parameter]! * ofIntercept) +
        RIDGE * ofIntercept + Number.MIN_VALUE + (parameter < width - 1 ? l2 : 0);
    }
    if (isDense) decompose(matrix, width * together);
    return matrix;
  });
  return {
    solve(vector) {
      byOutput(vector, blocks.length).forEach((part, index) => {
        const block = blocks[index]!;
        if (form === "diagonal") part.forEach((value, i) => part[i] = value / block[i]!);
        else solve(block, part);
      });
    },
  };
}

/** The sum over the rows of their outer products times the second derivatives of their losses: its lower triangle. */
function secondMoments(
  { design, labels, classWeights, task }: LinearProblem,
  { answers, outputs, isDense }: { answers: Float64Array[]; outputs: number[]; isDense: boolean },
): Float64Array {
  const width = design.parameters;
  const size = outputs.length * width;
  const matrix = new Float64Array(isDense ? size * size : size);
  const values = new Float64Array(design.numbers.length);
  const flags = new Int32Array(design.categories.length + 1);
  for (let row = 0; row < design.rows; row++) {
    readRow(design, row, values, flags);
    const weight = classWeights[task === "regression" ? 0 : labels[row]!]!;
    for (let k = 0; k < outputs.length; k++) {
      const answer = answers[outputs[k]!]![row]!;
      for (let l = isDense ? 0 : k; l <= k; l++) {
        const other = answers[outputs[l]!]![row]!;
        const factor = task === "regression" ? weight : weight * answer * ((k === l ? 1 : 0) - other);
        if (isDense) addProducts(matrix, (k * size + l) * width, size, factor, values, flags);
        else addSquares(matrix, factor, values, flags);
      }
    }
  }
  // Of two outputs all products count, and they are symmetric.
  for (let k = 1; k < outputs.length && isDense; k++) {
    for (let l = 0; l < k; l++) {
      const base = k * width * size + l * width;
      for (let i = 0; i < width; i++) {
        for (let j = 0; j < i; j++) matrix[base + j * size + i] = matrix[base + i * size + j]!;
      }
    }
  }
  return matrix;
}

/** The standardised numbers of a row, and the parameters that count once: those of its codes, and the intercept. */
function readRow(design: Design, row: number, values: Float64Array, flags: Int32Array): void {
  const { numbers, means, factors, categories, firsts } = design;
  for (let i = 0; i < numbers.length; i++) values[i] = (numbers[i]![row]! - means[i]!) * factors[i]!;
  for (let c = 0; c < categories.length; c++) flags[c] = firsts[c]! + categories[c]![row]!;
  flags[categories.length] = design.parameters - 1;
}

/** Adds the lower triangle of the outer product of a row with itself. */
function addProducts(
  matrix: Float64Array,
  base: number,
  size: number,
  factor: number,
  values: Float64Array,
  flags: Int32Array,
): void {
  for (let i = 0; i < values.length; i++) {
    const at = base + i * size;
    const value = factor * values[i]!;
    for (let j = 0; j <= i; j++) matrix[at + j] = matrix[at + j]! + value * values[j]!;
  }
  for (let a = 0; a < flags.length; a++) {
    const at = base + flags[a]! * size;
    for (let j = 0; j < values.length; j++) matrix[at + j] = matrix[at + j]! + factor * values[j]!;
    for (let b = 0; b <= a; b++) matrix[at + flags[b]!] = matrix[at + flags[b]!]! + factor;
  }
}

function addSquares(diagonal: Float64Array, factor: number, values: Float64Array, flags: Int32Array): void {
  for (let i = 0; i < values.length; i++) diagonal[i] = diagonal[i]! + factor * values[i]! * values[i]!;
  for (let a = 0; a < flags.length; a++) diagonal[flags[a]!] = diagonal[flags[a]!]! + factor;
}
