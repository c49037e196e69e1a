import { LEAF, NO_SET, SET_WORDS, type Tree } from "shared/onnx/tree_ensemble.ts";
import type { FeatureBinning } from "../binning.ts";
import { SPLIT } from "../split_finder.ts";

/** The same decisions over binned rows: `column` and `bin` in place of feature and threshold. */
export interface BinnedTree extends Tree {
  column: Int32Array;
  bin: Uint8Array;
  /** Gain of each split. */
  gain: Float64Array;
}

export function emptyTree(nodes: number): BinnedTree {
  return {
    feature: new Int32Array(nodes).fill(LEAF),
    column: new Int32Array(nodes),
    threshold: new Float64Array(nodes),
    set: new Int32Array(nodes).fill(NO_SET),
    sets: new Uint32Array(0),
    bin: new Uint8Array(nodes),
    missingLeft: new Uint8Array(nodes),
    left: new Int32Array(nodes),
    right: new Int32Array(nodes),
    value: new Float64Array(nodes),
    cover: new Float64Array(nodes),
    gain: new Float64Array(nodes),
  };
}

/** Makes a leaf ask, and the two nodes from `leftNode` on its children. */
export function writeSplit(
  tree: BinnedTree,
  { node, split }: { node: number; split: Float64Array },
  { columns, leftNode }: { columns: readonly FeatureBinning[]; leftNode: number },
): void {
  const column = split[SPLIT.column]!;
  const { feature, thresholds } = columns[column]!;
  const bin = split[SPLIT.bin]!;
  tree.feature[node] = feature;
  tree.column[node] = column;
  tree.bin[node] = bin;
  tree.gain[node] = split[SPLIT.gain]!;
  tree.left[node] = leftNode;
  tree.right[node] = leftNode + 1;
  if (thresholds === null) {
    tree.set[node] = tree.sets.length;
    const sets = new Uint32Array(tree.sets.length + SET_WORDS);
    sets.set(tree.sets);
    sets.set(split.subarray(SPLIT.set), tree.sets.length);
    tree.sets = sets;
  } else {
    tree.threshold[node] = thresholds[bin - 1]!;
    tree.missingLeft[node] = split[SPLIT.missingLeft]!;
  }
}

/** The tree without the room for nodes that it has not grown. */
export const trim = (tree: BinnedTree, nodes: number): BinnedTree => ({
  feature: tree.feature.slice(0, nodes),
  column: tree.column.slice(0, nodes),
  threshold: tree.threshold.slice(0, nodes),
  set: tree.set.slice(0, nodes),
  sets: tree.sets,
  bin: tree.bin.slice(0, nodes),
  missingLeft: tree.missingLeft.slice(0, nodes),
  left: tree.left.slice(0, nodes),
  right: tree.right.slice(0, nodes),
  value: tree.value.slice(0, nodes),
  cover: tree.cover.slice(0, nodes),
  gain: tree.gain.slice(0, nodes),
});
