import { LEAF, type Tree } from "shared/onnx/tree_ensemble.ts";
import type { BinnedRows } from "./binning.ts";
import { MISSING_BIN } from "./binning.ts";

/** The same decisions over binned rows: `column` and `bin` in place of feature and threshold. */
export interface BinnedTree extends Tree {
  column: Int32Array;
  bin: Uint8Array;
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
