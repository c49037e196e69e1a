import { SET_WORDS } from "shared/onnx/tree_ensemble.ts";
import { type BinnedRows, COLUMN_BINS, MISSING_BIN } from "./binning.ts";
import { gradientOf, type Grid, HESSIAN_SPAN, hessianOf } from "./histogram.ts";

/** Sums over the rows of a leaf, in whole steps, and what its value must lie between. */
export interface LeafSums {
  rows: number;
  gradient: number;
  hessian: number;
  lower: number;
  upper: number;
}

export interface SplitRules {
  l1: number;
  l2: number;
  minGain: number;
  /** Of a child, estimated from its share of the hessian, as only that is in the histograms. */
  minRowsPerLeaf: number;
  minHessianPerLeaf: number;
  categorySmoothing: number;
  categoryL2: number;
  maxCategoriesPerSplit: number;
  /** By column: 1, -1, or 0 for any direction; null where no column has one. */
  monotone: Int8Array | null;
}

/** Numbers of a split as they lie in memory that the members of a team share; the words of the set follow them. */
export const SPLIT = {
  gain: 0,
  column: 1,
  bin: 2,
  missingLeft: 3,
  isSet: 4,
  gradient: 5,
  hessian: 6,
  l2: 7,
  set: 8,
};
export const SPLIT_WORDS = SPLIT.set + SET_WORDS;

/** Part of the parent's score that a gain must exceed: less is what rounding makes of an indifferent split. */
const ROUNDING = 1e-12;
/** Of so few categories each is tried against all others, instead of sorting them. */
const FEW_CATEGORIES = 4;
/** Rows that a set of categories must gain, or leave, to be looked at: LightGBM's `min_data_per_group`. */
const MIN_ROWS_PER_GROUP = 100;

/**
 * Finds the best split of leaves. The gain is that of Friedman's gradient boosting with second derivatives (Chen and
 * Guestrin, "XGBoost", 2016, equation 7, without the factor 1/2). Sets of categories are looked for along the order of
 * gradient over hessian (Fisher, "On grouping for maximum homogeneity", 1958), as LightGBM does. Of equal splits the
 * first in column and bin order is taken.
 */
export class SplitFinder {
  readonly #binned: BinnedRows;
  readonly #rules: SplitRules;
  /** Categories in the order of their gradient over hessian. */
  readonly #sorted = new Int32Array(COLUMN_BINS);
  readonly #ratios = new Float64Array(COLUMN_BINS);

  constructor(binned: BinnedRows, rules: SplitRules) {
    this.#binned = binned;
    this.#rules = rules;
  }

  /**
   * Writes the best split of the columns `from` to `to` to `into`, with a gain of 0 when none gains enough.
   *
   * @param search.chosen 1 for each column that may be split
   */
  find(
    histogram: Float64Array,
    leaf: LeafSums,
    search: { grid: Grid; chosen: Uint8Array; from: number; to: number },
    into: Float64Array,
  ): void {
    const { grid, chosen, from, to } = search;
    const { l2, minGain } = this.#rules;
    const totalGradient = leaf.gradient / grid.gradient;
    const totalHessian = leaf.hessian / grid.hessian;
    const parentScore = this.#score(totalGradient, totalHessian, l2, leaf);
    const context = {
      leaf,
      gradientUnit: 1 / grid.gradient,
      hessianUnit: 1 / grid.hessian,
      totalGradient,
      totalHessian,
      rowsPerStep: leaf.rows / leaf.hessian,
      parentScore,
    };
    into[SPLIT.gain] = Math.max(minGain, Math.abs(parentScore) * ROUNDING);
    into[SPLIT.column] = -1;
    for (let column = from; column < to; column++) {
      if (chosen[column] === 0) continue;
      if (this.#binned.columns[column]!.thresholds === null) {
        this.#scanSets(histogram, column, context, into);
      } else this.#scanThresholds(histogram, column, context, into);
    }
    if (into[SPLIT.column] === -1) into[SPLIT.gain] = 0;
  }

  /** By how much twice the loss falls when the leaf takes its best value. */
  #score(gradient: number, hessian: number, l2: number, leaf: LeafSums): number {
    const { l1, monotone } = this.#rules;
    const pull = l1 === 0 ? gradient : shrink(gradient, l1);
    if (monotone === null) return pull * pull / (hessian + l2);
    const value = valueWithin(-pull / (hessian + l2), leaf);
    return -(2 * pull * value + (hessian + l2) * value * value);
  }

  #isInOrder(
    left: Sums,
    right: Sums,
    leaf: LeafSums,
    { column, l2 }: { column: number; l2: number },
  ): boolean {
    const { monotone, l1 } = this.#rules;
    const direction = monotone === null ? 0 : monotone[column]!;
    if (direction === 0) return true;
    const valueOf = ({ gradient, hessian }: Sums) =>
      valueWithin(-shrink(gradient, l1) / (hessian + l2), leaf);
    return direction * (valueOf(right) - valueOf(left)) >= 0;
  }

  /** Lets the threshold wander over the bins, with the missing rows on the left or on the right of it. */
  #scanThresholds(histogram: Float64Array, column: number, context: ScanContext, into: Float64Array): void {
    const first = column * COLUMN_BINS;
    const last = this.#binned.columns[column]!.bins - 1;
    if (histogram[first + MISSING_BIN] === 0) {
      this.#scanSide(histogram, { column, first, last: last - 1, missingLeft: false }, context, into);
      if (into[SPLIT.column] === column) {
        // Where no row of the leaf lacks the value, a later one that does goes where most rows went.
        into[SPLIT.missingLeft] = 2 * into[SPLIT.hessian]! >= context.leaf.hessian ? 1 : 0;
      }
      return;
    }
    // With the missing rows alone on the right, the last bin too can be the last on the left.
    this.#scanSide(histogram, { column, first, last, missingLeft: false }, context, into);
    this.#scanSide(histogram, { column, first, last: last - 1, missingLeft: true }, context, into);
  }

  #scanSide(
    histogram: Float64Array,
    { column, first, last, missingLeft }: {
      column: number;
      first: number;
      last: number;
      missingLeft: boolean;
    },
    context: ScanContext,
    into: Float64Array,
  ): void {
    const { leaf, gradientUnit, hessianUnit, totalGradient, totalHessian, rowsPerStep, parentScore } =
      context;
    const { l1, l2, minRowsPerLeaf, minHessianPerLeaf, monotone } = this.#rules;
    const isPlain = l1 === 0 && monotone === null;
    const hessianSteps = leaf.hessian;
    const least = minRowsPerLeaf - 0.5;
    let best = parentScore + into[SPLIT.gain]!;
    let bestBin = -1;
    let bestLeft = 0;
    let left = missingLeft ? histogram[first + MISSING_BIN]! : 0;
    for (let bin = 1; bin <= last; bin++) {
      const here = histogram[first + bin]!;
      // An empty bin parts the rows as the one before it does.
      if (here === 0) continue;
      left += here;
      const gradientSteps = Math.floor(left * (1 / HESSIAN_SPAN));
      const steps = left - gradientSteps * HESSIAN_SPAN;
      const hessian = steps * hessianUnit;
      if (steps * rowsPerStep < least || hessian < minHessianPerLeaf) continue;
      const restHessian = totalHessian - hessian;
      if ((hessianSteps - steps) * rowsPerStep < least || restHessian < minHessianPerLeaf) break;
      const gradient = gradientSteps * gradientUnit;
      const rest = totalGradient - gradient;
      let score: number;
      if (isPlain) score = gradient * gradient / (hessian + l2) + rest * rest / (restHessian + l2);
      else {
        score = this.#score(gradient, hessian, l2, leaf) + this.#score(rest, restHessian, l2, leaf);
        const sides = [{ gradient, hessian }, { gradient: rest, hessian: restHessian }] as const;
        if (score > best && !this.#isInOrder(...sides, leaf, { column, l2 })) continue;
      }
      if (score > best) {
        best = score;
        bestBin = bin;
        bestLeft = left;
      }
    }
    if (bestBin < 0) return;
    into[SPLIT.gain] = best - parentScore;
    into[SPLIT.column] = column;
    into[SPLIT.bin] = bestBin;
    into[SPLIT.missingLeft] = missingLeft ? 1 : 0;
    into[SPLIT.isSet] = 0;
    into[SPLIT.gradient] = gradientOf(bestLeft);
    into[SPLIT.hessian] = hessianOf(bestLeft);
    into[SPLIT.l2] = l2;
  }

  #scanSets(histogram: Float64Array, column: number, context: ScanContext, into: Float64Array): void {
    const first = column * COLUMN_BINS;
    const { bins } = this.#binned.columns[column]!;
    const { rowsPerStep, gradientUnit, hessianUnit } = context;
    const { l2, categorySmoothing, categoryL2, maxCategoriesPerSplit } = this.#rules;
    let count = 0;
    const isFew = bins - 2 <= FEW_CATEGORIES;
    for (let bin = 0; bin < bins; bin++) {
      const packed = histogram[first + bin]!;
      if (packed === 0) continue;
      const hessian = hessianOf(packed);
      if (!isFew && hessian * rowsPerStep < categorySmoothing) continue;
      this.#ratios[bin] = gradientOf(packed) * gradientUnit / (hessian * hessianUnit + categorySmoothing);
      this.#sorted[count++] = bin;
    }
    if (count === 0) return;
    if (isFew) {
      for (let index = 0; index < count; index++) {
        this.#scanOrder(histogram, { column, first, index, count: 1, step: 1, l2, isFew }, context, into);
      }
      return;
    }
    this.#sorted.subarray(0, count).sort((a, b) => this.#ratios[a]! - this.#ratios[b]! || a - b);
    const most = Math.min(maxCategoriesPerSplit, (count + 1) >> 1);
    const direction = { column, first, count: most, l2: l2 + categoryL2, isFew };
    this.#scanOrder(histogram, { ...direction, index: 0, step: 1 }, context, into);
    this.#scanOrder(histogram, { ...direction, index: count - 1, step: -1 }, context, into);
  }

  /** Lets a set grow along the sorted categories, from `index` on by `step`; it goes left, all others right. */
  #scanOrder(
    histogram: Float64Array,
    order: {
      column: number;
      first: number;
      index: number;
      count: number;
      step: number;
      l2: number;
      isFew: boolean;
    },
    context: ScanContext,
    into: Float64Array,
  ): void {
    const { leaf, gradientUnit, hessianUnit, totalGradient, totalHessian, rowsPerStep, parentScore } =
      context;
    const { minRowsPerLeaf, minHessianPerLeaf } = this.#rules;
    const { l2, isFew } = order;
    const groupRows = isFew ? 0 : MIN_ROWS_PER_GROUP;
    let best = parentScore + into[SPLIT.gain]!;
    let bestCount = 0;
    let bestLeft = 0;
    let left = 0;
    let newRows = 0;
    for (let taken = 0; taken < order.count; taken++) {
      const here = histogram[order.first + this.#sorted[order.index + taken * order.step]!]!;
      left += here;
      newRows += hessianOf(here) * rowsPerStep;
      const steps = hessianOf(left);
      const hessian = steps * hessianUnit;
      if (steps * rowsPerStep < minRowsPerLeaf - 0.5 || hessian < minHessianPerLeaf) continue;
      const restRows = (leaf.hessian - steps) * rowsPerStep;
      const restHessian = totalHessian - hessian;
      if (restRows < Math.max(minRowsPerLeaf - 0.5, groupRows) || restHessian < minHessianPerLeaf) break;
      if (newRows < groupRows) continue;
      newRows = 0;
      const gradient = gradientOf(left) * gradientUnit;
      const score = this.#score(gradient, hessian, l2, leaf) +
        this.#score(totalGradient - gradient, restHessian, l2, leaf);
      if (score > best) {
        best = score;
        bestCount = taken + 1;
        bestLeft = left;
      }
    }
    if (bestCount === 0) return;
    into[SPLIT.gain] = best - parentScore;
    into[SPLIT.column] = order.column;
    into[SPLIT.bin] = 0;
    into[SPLIT.missingLeft] = 0;
    into[SPLIT.isSet] = 1;
    into[SPLIT.gradient] = gradientOf(bestLeft);
    into[SPLIT.hessian] = hessianOf(bestLeft);
    into[SPLIT.l2] = l2;
    into.fill(0, SPLIT.set, SPLIT_WORDS);
    for (let taken = 0; taken < bestCount; taken++) {
      const code = this.#sorted[order.index + taken * order.step]!;
      const word = SPLIT.set + (code >>> 5);
      into[word] = (into[word]! | (1 << (code & 31))) >>> 0;
    }
  }
}

interface Sums {
  gradient: number;
  hessian: number;
}

interface ScanContext {
  leaf: LeafSums;
  gradientUnit: number;
  hessianUnit: number;
  totalGradient: number;
  totalHessian: number;
  rowsPerStep: number;
  parentScore: number;
}

/** Towards zero by the L1 penalty. */
export function shrink(gradient: number, l1: number): number {
  if (gradient > l1) return gradient - l1;
  return gradient < -l1 ? gradient + l1 : 0;
}

export const valueWithin = (value: number, { lower, upper }: { lower: number; upper: number }): number =>
  Math.min(upper, Math.max(lower, value));
