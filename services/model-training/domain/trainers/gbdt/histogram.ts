import type { BinnedRows } from "./binning.ts";

/**
 * The gradients and hessians of all rows as whole numbers on a power-of-two grid. Sums of them are exact in a
 * float64 whatever their order, and so is the difference of two histograms: the same trees come out on any number
 * of threads, and subtraction leaves no rounding noise behind.
 */
export interface Derivatives {
  /** `[gradient, hessian]` by row, in whole steps of the grid. */
  steps: Float64Array;
  /** The length of a step, in the derivative's own unit. */
  gradientStep: number;
  hessianStep: number;
}

/** Sums of up to this many steps are exact, one bit short of float64's 53 to leave room for the rounding. */
const EXACT_STEPS = 2 ** 52;

/** Rounds `[gradient, hessian]` pairs to the finest grid on which the sum over all rows is exact, in place. */
export function toExactSteps(derivatives: Float64Array): Derivatives {
  const rows = derivatives.length / 2;
  let maxGradient = 0;
  let maxHessian = 0;
  for (let i = 0; i < derivatives.length; i += 2) {
    maxGradient = Math.max(maxGradient, Math.abs(derivatives[i]!));
    maxHessian = Math.max(maxHessian, derivatives[i + 1]!);
  }
  const gradientStep = finestStep(maxGradient, rows);
  const hessianStep = finestStep(maxHessian, rows);
  const gradientScale = 1 / gradientStep;
  const hessianScale = 1 / hessianStep;
  for (let i = 0; i < derivatives.length; i += 2) {
    derivatives[i] = Math.round(derivatives[i]! * gradientScale);
    // At least one step: a sum of zero hessians must mean that there is no row.
    derivatives[i + 1] = Math.max(1, Math.round(derivatives[i + 1]! * hessianScale));
  }
  return { steps: derivatives, gradientStep, hessianStep };
}

const finestStep = (largest: number, rows: number) =>
  largest > 0 ? 2 ** Math.ceil(Math.log2((largest * rows) / EXACT_STEPS)) : 1;

/** Where the histograms of the columns lie in one array: a `[gradient, hessian]` pair a bin, the missing bin first. */
export interface HistogramLayout {
  /** Number of the first bin of each column; one more entry than columns. */
  firstBin: Int32Array;
}

export function layoutHistogram(binned: BinnedRows): HistogramLayout {
  const firstBin = new Int32Array(binned.columns.length + 1);
  binned.columns.forEach(({ thresholds }, column) => {
    firstBin[column + 1] = firstBin[column]! + 1 + thresholds.length;
  });
  return { firstBin };
}

/**
 * Adds the rows' derivatives to the histograms of the given columns. Row by row, because a row's bins lie together
 * and its derivatives are read once for all columns.
 *
 * @param rows row numbers
 */
export function addRows(
  histogram: Float64Array,
  rows: Int32Array,
  source: { binned: BinnedRows; steps: Float64Array; layout: HistogramLayout; columns: Int32Array },
): void {
  const { binned: { bins, columns: { length: width } }, steps, layout: { firstBin }, columns } = source;
  const chosen = columns.length;
  const first = Int32Array.from(columns, (column) => firstBin[column]!);
  for (let i = 0; i < rows.length; i++) {
    const row = rows[i]!;
    const gradient = steps[2 * row]!;
    const hessian = steps[2 * row + 1]!;
    const at = row * width;
    for (let k = 0; k < chosen; k++) {
      const slot = (first[k]! + bins[at + columns[k]!]!) << 1;
      histogram[slot] = histogram[slot]! + gradient;
      histogram[slot + 1] = histogram[slot + 1]! + hessian;
    }
  }
}

/** Takes a child's histogram out of its parent's, which thereby becomes that of the other child. */
export function subtract(parent: Float64Array, child: Float64Array): void {
  for (let i = 0; i < parent.length; i++) parent[i] = parent[i]! - child[i]!;
}
