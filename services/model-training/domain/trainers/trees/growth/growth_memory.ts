import { COLUMN_BINS } from "../binning.ts";
import { SPLIT_WORDS } from "../split_finder.ts";

/** What the members of a team share while they grow trees. */
export interface GrowthMemory {
  /** Rows of the tree, those of one leaf together. */
  order: Int32Array;
  /** As long: rows on their way to another place. */
  spare: Int32Array;
  /** Histograms of leaves. */
  histograms: readonly Float64Array[];
  /** A histogram a member, to be merged. */
  parts: readonly Float64Array[];
  /** Two splits a member: of the left child and of the right. */
  splits: Float64Array;
  /** How many rows of a member's share go left. */
  counts: Int32Array;
}

/** Histograms beyond this are counted anew instead of being kept. */
const HISTOGRAM_BYTES = 2 ** 28;
/** Fewest histograms: a parent, its child, and some that wait. */
const MIN_HISTOGRAMS = 8;

export function growthMemory(
  { rows, features }: { rows: number; features: number },
  rules: { maxLeaves: number },
  members: number,
): GrowthMemory {
  const shared = (bytes: number) => new SharedArrayBuffer(bytes);
  const cells = 4 * Math.ceil(features / 4) * COLUMN_BINS;
  const histogram = () => new Float64Array(shared(8 * cells));
  const kept = Math.min(
    rules.maxLeaves + 1,
    Math.max(MIN_HISTOGRAMS, Math.floor(HISTOGRAM_BYTES / (8 * Math.max(1, cells)))),
  );
  return {
    order: new Int32Array(shared(4 * rows)),
    spare: new Int32Array(shared(4 * rows)),
    histograms: Array.from({ length: kept }, histogram),
    parts: Array.from({ length: members }, histogram),
    splits: new Float64Array(shared(8 * 2 * SPLIT_WORDS * members)),
    counts: new Int32Array(shared(4 * members)),
  };
}
