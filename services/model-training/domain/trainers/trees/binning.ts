import { otherCode, type Vocabularies } from "../../encoding.ts";
import { floorToFloat32, MAX_FLOAT32 } from "../../float32.ts";
import { Random } from "../../random.ts";
import type { Team } from "./team.ts";

/** Bin 0 of every feature holds the missing values, so a byte leaves 255 bins for the others. */
export const MISSING_BIN = 0;
/** Room for the bins of a column in a histogram, whether it has so many or not: its place is a shift away. */
export const COLUMN_BINS = 256;

/** How a feature's values become bins. */
export interface FeatureBinning {
  /** Index of the feature in the data set. */
  feature: number;
  /** Bins in all, that of missing values included. */
  bins: number;
  /**
   * Of a number: ascending float32 values; bin b holds (thresholds[b - 2], thresholds[b - 1]]. The last holds all that
   * is left. Of a category null: its codes are its bins.
   */
  thresholds: Float64Array | null;
}

/** All rows in bins, in shared memory. Columns are the features that can be split, in the order of the data set. */
export interface BinnedRows {
  rows: number;
  columns: readonly FeatureBinning[];
  /** Row by row, a byte a column, four to a word: a row's bins share a cache line when its histograms are filled. */
  words: Int32Array;
  /** Words of a row. */
  width: number;
  /** The same by column, for parting the rows of a leaf by one of them. */
  byColumn: readonly Uint8Array[];
}

/** Rows that are looked at to place the thresholds; more of them hardly lower the loss. */
const SAMPLE_ROWS = 200_000;
/** A threshold between fewer rows than this would only follow noise. */
const MIN_ROWS_PER_BIN = 3;

/** Shared memory in which the members tell each other the thresholds they have placed. */
export interface ThresholdMemory {
  /** {@link COLUMN_BINS} a feature. */
  thresholds: Float64Array;
  /** How many of them, a feature. */
  counts: Int32Array;
}

export const thresholdMemory = (features: number): ThresholdMemory => ({
  thresholds: new Float64Array(new SharedArrayBuffer(8 * COLUMN_BINS * features)),
  counts: new Int32Array(new SharedArrayBuffer(4 * features)),
});

/**
 * Places thresholds so that bins hold about equally many rows, and heavy values have bins of their own. Features that
 * offer no choice (constant, or always missing) are left out.
 *
 * @param options.maxBins at most 255
 */
export function findBinning(
  data: { columns: readonly Float32Array[]; vocabularies: Vocabularies; rows: number },
  options: { maxBins: number; seed: number },
  { memory, team }: { memory: ThresholdMemory; team: Team },
): FeatureBinning[] {
  const { columns, vocabularies, rows } = data;
  const sample = rows > SAMPLE_ROWS ? new Random(options.seed).sample(rows, SAMPLE_ROWS) : undefined;
  const room = roomFor(sample?.length ?? rows);
  for (let feature = team.rank; feature < columns.length; feature += team.size) {
    if (vocabularies[feature] !== null) continue;
    const thresholds = thresholdsOf(columns[feature]!, { sample, maxBins: options.maxBins, room });
    memory.thresholds.set(thresholds, feature * COLUMN_BINS);
    memory.counts[feature] = thresholds.length;
  }
  team.barrier();
  return columns.flatMap((_, feature): FeatureBinning[] => {
    const vocabulary = vocabularies[feature] ?? null;
    if (vocabulary !== null) {
      return vocabulary.length === 0 ? [] : [{ feature, bins: otherCode(vocabulary) + 1, thresholds: null }];
    }
    const count = memory.counts[feature]!;
    const thresholds = memory.thresholds.slice(feature * COLUMN_BINS, feature * COLUMN_BINS + count);
    return count === 0 ? [] : [{ feature, bins: count + 1, thresholds }];
  });
}

/** What the values of one feature after the other are looked at in: thrown away, it would pile up before it is collected. */
interface Room {
  values: Float32Array;
  distinct: Float32Array;
  counts: Uint32Array;
}

const roomFor = (rows: number): Room => ({
  values: new Float32Array(rows),
  distinct: new Float32Array(rows),
  counts: new Uint32Array(rows),
});

/** None where the values offer no choice. */
function thresholdsOf(
  column: Float32Array,
  { sample, maxBins, room }: { sample: Int32Array | undefined; maxBins: number; room: Room },
): Float64Array {
  const { values } = room;
  if (sample === undefined) values.set(column);
  else for (let i = 0; i < values.length; i++) values[i] = column[sample[i]!]!;
  // The default order of a typed array puts NaN last.
  values.sort();
  let present = values.length;
  while (present > 0 && Number.isNaN(values[present - 1])) present--;
  if (present === 0) return new Float64Array(0);
  const thresholds = placeThresholds(values.subarray(0, present), maxBins, room);
  const hasMissing = present < values.length;
  return thresholds.length > 1 || hasMissing ? thresholds : new Float64Array(0);
}

/** Shared memory for the bins of so many rows, before it is known which features will be columns. */
export interface BinMemory {
  words: Int32Array;
  byFeature: readonly Uint8Array[];
}

export const binMemory = (rows: number, features: number): BinMemory => ({
  words: new Int32Array(new SharedArrayBuffer(4 * rows * Math.ceil(features / 4))),
  byFeature: Array.from({ length: features }, () => new Uint8Array(new SharedArrayBuffer(rows))),
});

/** Puts this member's share of the rows into their bins. The others' are there after the next barrier. */
export function binRows(
  data: { columns: readonly Float32Array[]; rows: number },
  columns: readonly FeatureBinning[],
  { memory, team }: { memory: BinMemory; team: Team },
): BinnedRows {
  const { rows } = data;
  const { words, byFeature } = memory;
  const width = Math.ceil(columns.length / 4);
  const bytes = new Uint8Array(words.buffer);
  const stride = 4 * width;
  const [from, to] = team.share(rows);
  const byColumn = columns.map(({ feature, thresholds }, column) => {
    const values = data.columns[feature]!;
    const own = byFeature[column]!;
    for (let row = from; row < to; row++) {
      const bin = thresholds === null ? values[row]! : binOf(thresholds, values[row]!);
      own[row] = bin;
      bytes[row * stride + column] = bin;
    }
    return own;
  });
  return { rows, columns, width, words, byColumn };
}

function binOf(thresholds: Float64Array, value: number): number {
  if (value !== value) return MISSING_BIN;
  let low = 0;
  let high = thresholds.length - 1;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (value <= thresholds[middle]!) high = middle;
    else low = middle + 1;
  }
  return low + 1;
}

function placeThresholds(sorted: Float32Array, maxBins: number, room: Room): Float64Array {
  const { values, counts } = countDistinct(sorted, room);
  const limit = Math.max(1, Math.min(maxBins, Math.floor(sorted.length / MIN_ROWS_PER_BIN)));
  const thresholds = values.length <= limit
    ? closeBins(values, counts, { size: MIN_ROWS_PER_BIN, limit, heavy: Infinity, partsSigns: false })
    : closeBins(values, counts, equalShares(counts, sorted.length, limit));
  return Float64Array.from(thresholds);
}

/** Of fewer bins, none can be spared for the sign. */
const MIN_BINS_FOR_SIGNS = 16;

interface BinPlan {
  /** Rows after which a bin is closed. */
  size: number;
  /** Most bins. */
  limit: number;
  /** A value of at least so many rows stands alone. */
  heavy: number;
  /** Whether no bin holds values of two signs, of which 0 is one: a sign often means something. */
  partsSigns: boolean;
}

/**
 * The heavy values get their bins first; what is left of bins and rows decides the size of the others. Where signs are
 * parted, as LightGBM does too, two bins are spared for it.
 */
function equalShares(counts: Uint32Array, rows: number, limit: number): BinPlan {
  const heavy = rows / limit;
  let heavyBins = 0;
  let heavyRows = 0;
  for (const count of counts) {
    if (count >= heavy) {
      heavyBins++;
      heavyRows += count;
    }
  }
  const partsSigns = limit >= MIN_BINS_FOR_SIGNS;
  const spared = heavyBins + (partsSigns ? 2 : 0);
  return { size: (rows - heavyRows) / Math.max(1, limit - spared), limit, heavy, partsSigns };
}

function closeBins(values: Float32Array, counts: Uint32Array, plan: BinPlan): number[] {
  const thresholds: number[] = [];
  let filled = 0;
  for (let i = 0; i < values.length - 1 && thresholds.length < plan.limit - 1; i++) {
    filled += counts[i]!;
    const nextIsHeavy = counts[i + 1]! >= plan.heavy && filled >= plan.size / 2;
    const signChanges = plan.partsSigns && Math.sign(values[i]!) !== Math.sign(values[i + 1]!);
    if (filled >= plan.size || counts[i]! >= plan.heavy || nextIsHeavy || signChanges) {
      thresholds.push(between(values[i]!, values[i + 1]!));
      filled = 0;
    }
  }
  thresholds.push(MAX_FLOAT32);
  return thresholds;
}

/**
 * A float32 t with low <= t < high, so that the exported float32 comparison parts them as the trainer does: halfway, or
 * between the signs 0.
 */
const between = (low: number, high: number) =>
  low < 0 && high > 0 ? 0 : floorToFloat32(low + (high - low) / 2);

function countDistinct(
  sorted: Float32Array,
  { distinct, counts }: Room,
): { values: Float32Array; counts: Uint32Array } {
  let last = -1;
  for (const value of sorted) {
    if (last >= 0 && value === distinct[last]) counts[last] = counts[last]! + 1;
    else {
      distinct[++last] = value;
      counts[last] = 1;
    }
  }
  return { values: distinct.subarray(0, last + 1), counts: counts.subarray(0, last + 1) };
}
