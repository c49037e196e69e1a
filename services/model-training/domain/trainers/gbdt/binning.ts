import type { Dataset } from "../../dataset.ts";
import { floorToFloat32, MAX_FLOAT32 } from "../../float32.ts";
import { Random } from "../../random.ts";

/** Bin 0 of every feature holds the missing values, so a byte leaves 255 bins for the others. */
export const MISSING_BIN = 0;
export const MAX_VALUE_BINS = 255;

/** A feature's values as bins 1 to `thresholds.length`, each closed above by its threshold. */
export interface FeatureBinning {
  /** Index of the feature in the data set. */
  feature: number;
  /** Ascending float32 values; bin b holds (thresholds[b - 2], thresholds[b - 1]]. The last holds all that is left. */
  thresholds: Float64Array;
}

/** All rows in bins. Columns are the features that can be split, in the order of the data set. */
export interface BinnedRows {
  rows: number;
  columns: readonly FeatureBinning[];
  /** Row by row, a byte a column: a row's bins share a cache line when its histograms are filled. */
  bins: Uint8Array;
  /** The same by column, for parting the rows of a leaf by one of them. */
  byColumn: readonly Uint8Array[];
}

/** Rows that are looked at to place the thresholds; more of them hardly move a quantile. */
const SAMPLE_ROWS = 200_000;
/** A threshold between fewer rows than this would only follow noise. */
const MIN_ROWS_PER_BIN = 3;

/**
 * Places thresholds so that bins hold about equally many rows, and heavy values have bins of their own. Features
 * that offer no choice (constant, or always missing) are left out.
 *
 * @param options.maxBins at most {@link MAX_VALUE_BINS}
 */
export function findBinning(dataset: Dataset, options: { maxBins: number; seed: number }): FeatureBinning[] {
  const sample = dataset.rows > SAMPLE_ROWS
    ? new Random(options.seed).sample(dataset.rows, SAMPLE_ROWS)
    : undefined;
  const found: FeatureBinning[] = [];
  dataset.columns.forEach((column, feature) => {
    const values = sample ? Float32Array.from(sample, (row) => column[row]!) : column.slice();
    // The default order of a typed array puts NaN last.
    values.sort();
    let present = values.length;
    while (present > 0 && Number.isNaN(values[present - 1])) present--;
    if (present === 0) return;
    const thresholds = placeThresholds(values.subarray(0, present), options.maxBins);
    const hasMissing = present < values.length;
    if (thresholds.length > 1 || hasMissing) found.push({ feature, thresholds });
  });
  return found;
}

/** Puts every row's values into the bins, those of rows that were not there when the bins were found included. */
export function binRows(dataset: Dataset, columns: readonly FeatureBinning[]): BinnedRows {
  const width = columns.length;
  const bins = new Uint8Array(dataset.rows * width);
  const byColumn = columns.map(({ feature, thresholds }, column) => {
    const values = dataset.columns[feature]!;
    const own = new Uint8Array(dataset.rows);
    for (let row = 0; row < dataset.rows; row++) {
      const bin = binOf(thresholds, values[row]!);
      own[row] = bin;
      bins[row * width + column] = bin;
    }
    return own;
  });
  return { rows: dataset.rows, columns, bins, byColumn };
}

function binOf(thresholds: Float64Array, value: number): number {
  if (Number.isNaN(value)) return MISSING_BIN;
  let low = 0;
  let high = thresholds.length - 1;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (value <= thresholds[middle]!) high = middle;
    else low = middle + 1;
  }
  return low + 1;
}

function placeThresholds(sorted: Float32Array, maxBins: number): Float64Array {
  const { values, counts } = countDistinct(sorted);
  const limit = Math.max(1, Math.min(maxBins, Math.floor(sorted.length / MIN_ROWS_PER_BIN)));
  const thresholds = values.length <= limit
    ? closeBins(values, counts, { size: MIN_ROWS_PER_BIN, limit, heavy: Infinity })
    : closeBins(values, counts, equalShares(counts, sorted.length, limit));
  return Float64Array.from(thresholds);
}

interface BinPlan {
  /** Rows after which a bin is closed. */
  size: number;
  /** Most bins. */
  limit: number;
  /** A value of at least so many rows stands alone. */
  heavy: number;
}

/** The heavy values get their bins first; what is left of bins and rows decides the size of the others. */
function equalShares(counts: readonly number[], rows: number, limit: number): BinPlan {
  const heavy = rows / limit;
  let heavyBins = 0;
  let heavyRows = 0;
  for (const count of counts) {
    if (count >= heavy) {
      heavyBins++;
      heavyRows += count;
    }
  }
  return { size: (rows - heavyRows) / Math.max(1, limit - heavyBins), limit, heavy };
}

function closeBins(values: readonly number[], counts: readonly number[], plan: BinPlan): number[] {
  const thresholds: number[] = [];
  let filled = 0;
  for (let i = 0; i < values.length - 1 && thresholds.length < plan.limit - 1; i++) {
    filled += counts[i]!;
    const nextIsHeavy = counts[i + 1]! >= plan.heavy && filled >= plan.size / 2;
    if (filled >= plan.size || counts[i]! >= plan.heavy || nextIsHeavy) {
      thresholds.push(between(values[i]!, values[i + 1]!));
      filled = 0;
    }
  }
  thresholds.push(MAX_FLOAT32);
  return thresholds;
}

/** A float32 t with low <= t < high, so that the exported float32 comparison parts them as the trainer does. */
const between = (low: number, high: number) => floorToFloat32(low + (high - low) / 2);

function countDistinct(sorted: Float32Array): { values: number[]; counts: number[] } {
  const values: number[] = [];
  const counts: number[] = [];
  for (const value of sorted) {
    if (values.length > 0 && value === values[values.length - 1]) {
      counts[counts.length - 1] = counts[counts.length - 1]! + 1;
    } else {
      values.push(value);
      counts.push(1);
    }
  }
  return { values, counts };
}
