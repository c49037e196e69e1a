import { type BinnedRows, COLUMN_BINS } from "./binning.ts";

/**
 * A row's gradient and hessian as whole steps of a grid, in one float64: gradient x 2^27 + hessian. Sums of such numbers
 * are exact in any order, as long as neither part overflows, and so is the difference of two sums: the same trees come
 * out on any number of threads, subtraction leaves no rounding noise behind, and a histogram takes one addition a row
 * and column. (LightGBM quantises to far fewer steps, and shows that trees do not suffer: Shi and others, "Quantized
 * training of gradient boosting decision trees", 2022.)
 */
export const HESSIAN_SPAN = 2 ** 27;
const GRADIENT_SPAN = 2 ** 25;
/** Each row's rounding may add a step, which must not fill the span. */
export const MAX_ROWS = 2 ** 24;

/** How many steps a unit of each derivative has. */
export interface Grid {
  gradient: number;
  hessian: number;
}

/** The finest grid on which no sum over these rows overflows. */
export function gridOf(sums: { gradients: number; hessians: number; rows: number }): Grid {
  const { gradients, hessians, rows } = sums;
  return {
    gradient: gradients > 0 ? (GRADIENT_SPAN - rows) / gradients : 1,
    hessian: hessians > 0 ? (HESSIAN_SPAN - 1 - 2 * rows) / hessians : 1,
  };
}

/** Steps of gradient and hessian in a packed sum. */
export const gradientOf = (packed: number): number => Math.floor(packed * (1 / HESSIAN_SPAN));
export const hessianOf = (packed: number): number => packed - gradientOf(packed) * HESSIAN_SPAN;

const GOLDEN = (Math.sqrt(5) - 1) / 2;

/**
 * Packs the derivatives of rows `from` to `to`. They are rounded up or down by a sequence that fills [0, 1) evenly
 * (multiples of the golden ratio), so that the errors of many equal ones cancel out: rounded to the nearest step, all
 * hessians of rows that are nearly certain would be off to the same side, and by a large part of them.
 */
export function pack(
  packed: Float64Array,
  source: { gradients: Float32Array; hessians: Float32Array; offset: number },
  range: { from: number; to: number; grid: Grid; round: number },
): void {
  const { gradients, hessians, offset } = source;
  const { from, to, grid: { gradient, hessian }, round } = range;
  for (let row = from; row < to; row++) {
    const place = row * GOLDEN + round * Math.SQRT2;
    const dither = place - Math.floor(place);
    const steps = Math.floor(gradients[offset + row]! * gradient + dither);
    // At least one step: a sum of zero hessians must mean that there is no row.
    const hessianSteps = Math.max(1, Math.floor(hessians[offset + row]! * hessian + 1 - dither));
    packed[row] = steps * HESSIAN_SPAN + hessianSteps;
  }
}

/** Rows that are fetched together before they are counted. */
const FETCHED = 32;
const fetched = new Float64Array(FETCHED);

/**
 * Adds rows `order[from..to)` to the histograms of all columns. Row by row, because a row's bins lie together and its
 * derivatives are read once for all columns. Rows of a leaf lie apart in memory: what some of them need is asked for in
 * one go, so that the waits for memory overlap.
 */
export function addRows(
  histogram: Float64Array,
  source: { binned: BinnedRows; order: Int32Array; packed: Float64Array },
  { from, to }: { from: number; to: number },
): void {
  const { binned: { words, width }, order, packed } = source;
  let touched = 0;
  for (let start = from; start < to; start += FETCHED) {
    const end = Math.min(to, start + FETCHED);
    for (let i = start; i < end; i++) {
      const row = order[i]!;
      fetched[i - start] = packed[row]!;
      touched |= words[row * width]!;
    }
    for (let i = start; i < end; i++) {
      const value = fetched[i - start]!;
      const first = order[i]! * width;
      let base = 0;
      for (let at = first; at < first + width; at++) {
        const word = words[at]!;
        const a = base + (word & 255);
        const b = base + COLUMN_BINS + ((word >>> 8) & 255);
        const c = base + 2 * COLUMN_BINS + ((word >>> 16) & 255);
        const d = base + 3 * COLUMN_BINS + (word >>> 24);
        histogram[a] = histogram[a]! + value;
        histogram[b] = histogram[b]! + value;
        histogram[c] = histogram[c]! + value;
        histogram[d] = histogram[d]! + value;
        base += 4 * COLUMN_BINS;
      }
    }
  }
  // Used, so that no compiler may leave the reading out.
  if (touched === 1 << 31 && width === 0) histogram.fill(NaN);
}
