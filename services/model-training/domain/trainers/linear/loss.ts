import type { Task } from "shared/contracts/signature.ts";
import type { Design } from "./design.ts";
import { addRows, addScores, BLOCK_ROWS } from "./products.ts";

export interface LinearProblem {
  design: Design;
  /** 0 or 1, the number of the class, or the value. */
  labels: Float64Array;
  /** In the loss, of the rows of each class; of a regression that of any row. */
  classWeights: Float64Array;
  task: Task;
  /** Scores of a row: the number of classes of a multiclass task, else 1. */
  outputs: number;
}

/**
 * The sum of the rows' weighted losses (log loss, or half the squared error) at the parameters, whose gradient is written
 * to `gradient`. One pass, block by block: the values are used for the scores and for the gradient while they are at hand.
 *
 * @param parameters output after output, each of `design.parameters`
 */
export function lossAndGradient(
  problem: LinearProblem,
  parameters: Float64Array,
  gradient: Float64Array,
): number {
  const { design, outputs } = problem;
  const weights = byOutput(parameters, outputs);
  const slopes = byOutput(gradient, outputs);
  const takeResiduals = RESIDUALS[problem.task];
  gradient.fill(0);
  let block = emptyBlock(outputs, BLOCK_ROWS);
  let loss = 0;
  for (let from = 0; from < design.rows; from += BLOCK_ROWS) {
    if (design.rows - from < BLOCK_ROWS) block = emptyBlock(outputs, design.rows - from);
    for (let k = 0; k < outputs; k++) addScores(design, weights[k]!, from, block[k]!.fill(0));
    loss += takeResiduals(problem, from, block);
    for (let k = 0; k < outputs; k++) addRows(design, block[k]!, from, slopes[k]!);
  }
  return loss;
}

/** Scores of each row: [outputs][rows]. */
export function scoresOf(design: Design, parameters: Float64Array, outputs: number): Float64Array[] {
  return byOutput(parameters, outputs).map((weights) => {
    const scores = new Float64Array(design.rows);
    for (let from = 0; from < design.rows; from += BLOCK_ROWS) {
      addScores(design, weights, from, scores.subarray(from, from + BLOCK_ROWS));
    }
    return scores;
  });
}

/** Views of the parts of a vector that belong to each output. */
export function byOutput(vector: Float64Array, outputs: number): Float64Array[] {
  const width = vector.length / outputs;
  return Array.from({ length: outputs }, (_, k) => vector.subarray(k * width, (k + 1) * width));
}

const emptyBlock = (outputs: number, rows: number) =>
  Array.from({ length: outputs }, () => new Float64Array(rows));

/**
 * The loss of the rows from `from` on, whose scores become its derivatives by them: [outputs][rows], in place.
 */
type TakeResiduals = (problem: LinearProblem, from: number, scores: Float64Array[]) => number;

const RESIDUALS: Readonly<Record<Task, TakeResiduals>> = {
  regression({ labels, classWeights }, from, [scores]) {
    const weight = classWeights[0]!;
    let squares = 0;
    for (let row = 0; row < scores!.length; row++) {
      const error = scores![row]! - labels[from + row]!;
      squares += error * error;
      scores![row] = weight * error;
    }
    return weight * squares / 2;
  },

  binary({ labels, classWeights }, from, [scores]) {
    const [negative, positive] = [classWeights[0]!, classWeights[1]!];
    let loss = 0;
    // The sum of log(1 + odds) is the log of a product, which a block of factors of at most 2 does not overflow.
    let negatives = 1;
    let positives = 1;
    for (let row = 0; row < scores!.length; row++) {
      const score = scores![row]!;
      const odds = Math.exp(-Math.abs(score));
      const likelier = 1 / (1 + odds);
      const probability = score < 0 ? odds * likelier : likelier;
      if (labels[from + row] === 1) {
        if (score < 0) loss -= positive * score;
        positives *= 1 + odds;
        scores![row] = positive * (probability - 1);
      } else {
        if (score > 0) loss += negative * score;
        negatives *= 1 + odds;
        scores![row] = negative * probability;
      }
    }
    return loss + negative * Math.log(negatives) + positive * Math.log(positives);
  },

  multiclass({ labels, classWeights }, from, scores) {
    const outputs = scores.length;
    let loss = 0;
    for (let row = 0; row < scores[0]!.length; row++) {
      const label = labels[from + row]!;
      const weight = classWeights[label]!;
      let highest = -Infinity;
      for (let k = 0; k < outputs; k++) highest = Math.max(highest, scores[k]![row]!);
      loss += weight * (highest - scores[label]![row]!);
      let sum = 0;
      for (let k = 0; k < outputs; k++) {
        const odds = Math.exp(scores[k]![row]! - highest);
        scores[k]![row] = odds;
        sum += odds;
      }
      loss += weight * Math.log(sum);
      for (let k = 0; k < outputs; k++) {
        scores[k]![row] = weight * (scores[k]![row]! / sum - (k === label ? 1 : 0));
      }
    }
    return loss;
  },
};
