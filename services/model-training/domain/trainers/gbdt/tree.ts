import type { BinnedRows } from "./binning.ts";
import { MISSING_BIN } from "./binning.ts";

/** A decision tree as arrays over its nodes; node 0 is the root. */
export interface Tree {
  /** Number of the feature a node asks for; -1 marks a leaf. */
  feature: Int32Array;
  /** A value goes left if it is at most this (a float32), right if it is greater. */
  threshold: Float64Array;
  /** 1 where a missing value goes left. */
  missingLeft: Uint8Array;
  /** Children; in a leaf unused. */
  left: Int32Array;
  right: Int32Array;
  /** What a leaf adds to the score (a float32); in other nodes 0. */
  value: Float64Array;
}

/** The same decisions over binned rows: `column` and `bin` in place of feature and threshold. */
export interface BinnedTree extends Tree {
  column: Int32Array;
  bin: Uint8Array;
}

export const LEAF = -1;

/** Adds the tree's value of each row to `scores`. @param columns one array a feature, NaN is missing */
export function addTreeScores(tree: Tree, columns: readonly Float64Array[], scores: Float64Array): void {
  const { feature, threshold, missingLeft, left, right, value } = tree;
  for (let row = 0; row < scores.length; row++) {
    let node = 0;
    while (feature[node]! !== LEAF) {
      const x = columns[feature[node]!]![row]!;
      const goesLeft = x <= threshold[node]! || (missingLeft[node] === 1 && Number.isNaN(x));
      node = goesLeft ? left[node]! : right[node]!;
    }
    scores[row] = scores[row]! + value[node]!;
  }
}

/** Adds the tree's value of each binned row to `scores`. */
export function addBinnedScores(tree: BinnedTree, binned: BinnedRows, scores: Float64Array): void {
  const { feature, column, bin, missingLeft, left, right, value } = tree;
  const { byColumn } = binned;
  for (let row = 0; row < scores.length; row++) {
    let node = 0;
    while (feature[node]! !== LEAF) {
      const found = byColumn[column[node]!]![row]!;
      const goesLeft = found === MISSING_BIN ? missingLeft[node] === 1 : found <= bin[node]!;
      node = goesLeft ? left[node]! : right[node]!;
    }
    scores[row] = scores[row]! + value[node]!;
  }
}
