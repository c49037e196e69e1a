import { MISSING_BIN } from "./binning.ts";
import type { HistogramLayout } from "./histogram.ts";

/** Sums over the rows of a leaf, in the derivatives' own unit. */
export interface LeafSums {
  rows: number;
  gradient: number;
  hessian: number;
}

export interface SplitRules {
  l2: number;
  minGain: number;
  /** Of a child, estimated from its share of the hessian, as only that is in the histograms. */
  minRowsPerLeaf: number;
  minHessianPerLeaf: number;
}

/** Rows of value bins up to `bin`, and the missing ones if `missingLeft`, go left. */
export interface Split {
  column: number;
  bin: number;
  missingLeft: boolean;
  /** By how much twice the loss falls, in its second-order approximation. */
  gain: number;
  /** Sums over the rows that go left. */
  leftGradient: number;
  leftHessian: number;
}

/** Part of the parent's score that a gain must exceed: less is what rounding makes of an indifferent split. */
const ROUNDING = 1e-12;

/**
 * The best split of a leaf over the given columns, or `undefined` when none gains enough. The gain is that of
 * Friedman's gradient boosting with second derivatives (Chen and Guestrin, "XGBoost", 2016, equation 7, without the
 * factor 1/2). Of equal splits the first in column and bin order is taken.
 */
export function findBestSplit(
  histogram: Float64Array,
  leaf: LeafSums,
  context: {
    layout: HistogramLayout;
    columns: Int32Array;
    gradientStep: number;
    hessianStep: number;
    rules: SplitRules;
  },
): Split | undefined {
  const { layout: { firstBin }, columns, gradientStep, hessianStep, rules } = context;
  const { l2 } = rules;
  const parentScore = leaf.gradient ** 2 / (leaf.hessian + l2);
  const rowsPerHessian = leaf.rows / leaf.hessian;
  let bestScore = parentScore + Math.max(rules.minGain, parentScore * ROUNDING);
  let best: Split | undefined;

  /** Lets the threshold wander over the bins, with the missing rows on the left or on the right of it. */
  const scan = (column: number, missingLeft: boolean, lastBin: number): void => {
    const first = firstBin[column]!;
    let gradient = 0;
    let hessian = 0;
    if (missingLeft) {
      gradient = histogram[2 * (first + MISSING_BIN)]! * gradientStep;
      hessian = histogram[2 * (first + MISSING_BIN) + 1]! * hessianStep;
    }
    for (let bin = 1; bin <= lastBin; bin++) {
      gradient += histogram[2 * (first + bin)]! * gradientStep;
      hessian += histogram[2 * (first + bin) + 1]! * hessianStep;
      const restHessian = leaf.hessian - hessian;
      if (hessian < rules.minHessianPerLeaf || Math.round(hessian * rowsPerHessian) < rules.minRowsPerLeaf) {
        continue;
      }
      if (
        restHessian < rules.minHessianPerLeaf ||
        Math.round(restHessian * rowsPerHessian) < rules.minRowsPerLeaf
      ) break;
      const restGradient = leaf.gradient - gradient;
      const score = gradient ** 2 / (hessian + l2) + restGradient ** 2 / (restHessian + l2);
      if (score > bestScore) {
        bestScore = score;
        best = {
          column,
          bin,
          missingLeft,
          gain: score - parentScore,
          leftGradient: gradient,
          leftHessian: hessian,
        };
      }
    }
  };

  for (const column of columns) {
    const valueBins = firstBin[column + 1]! - firstBin[column]! - 1;
    const missingHessian = histogram[2 * (firstBin[column]! + MISSING_BIN) + 1]! * hessianStep;
    if (missingHessian === 0) {
      scan(column, false, valueBins - 1);
    } else {
      // With the missing rows alone on the right, the last bin too can be the last on the left.
      scan(column, false, valueBins);
      scan(column, true, valueBins - 1);
    }
  }
  if (best && histogram[2 * (firstBin[best.column]! + MISSING_BIN) + 1] === 0) {
    // Where no row of the leaf lacks the value, a later one that does goes where most rows went.
    best.missingLeft = 2 * best.leftHessian >= leaf.hessian;
  }
  return best;
}
