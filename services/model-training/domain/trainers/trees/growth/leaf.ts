import { type LeafSums, SPLIT } from "../split_finder.ts";

/** Rows `order[begin..end)` and where they stand in the tree. */
export interface Leaf {
  node: number;
  depth: number;
  begin: number;
  end: number;
  sums: LeafSums;
  /** Of the split that made it. */
  l2: number;
  /** Which histogram is its own; -1: none. */
  histogram: number;
  /** As it lies in memory; of no gain when the leaf can't be split. */
  split: Float64Array;
}

/** The first of the leaves with the largest gain, if any can be split. */
export function leafOfLargestGain(leaves: readonly Leaf[]): Leaf | undefined {
  let best: Leaf | undefined;
  for (const leaf of leaves) {
    if (leaf.split[SPLIT.gain]! > (best?.split[SPLIT.gain] ?? 0)) best = leaf;
  }
  return best;
}

export const inOrderOfSize = ([left, right]: [Leaf, Leaf]): [smaller: Leaf, larger: Leaf] =>
  left.sums.rows <= right.sums.rows ? [left, right] : [right, left];
