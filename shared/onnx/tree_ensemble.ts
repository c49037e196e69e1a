/**
 * Ensembles of decision trees, and the operator `TreeEnsemble` (ai.onnx.ml 5) that they are exchanged as.
 *
 * @module
 */
import type { Attribute, Node } from "./model_proto.ts";

/** A decision tree as arrays over its nodes; node 0 is the root, and children come after their parent. */
export interface Tree {
  /** Number of the feature a node asks for; {@link LEAF} marks a leaf. */
  feature: Int32Array;
  /** A value goes left if it is at most this (a float32), right if it is greater. */
  threshold: Float64Array;
  /** Where a node asks for a set of codes, the first of its {@link SET_WORDS} words in `sets`; else {@link NO_SET}. */
  set: Int32Array;
  /** Bit `code % 32` of word `code / 32` tells whether rows of the code go left; all others go right. */
  sets: Uint32Array;
  /** 1 where a missing value goes left. Of no account where the node asks for a set. */
  missingLeft: Uint8Array;
  /** Children; in a leaf unused. */
  left: Int32Array;
  right: Int32Array;
  /** What a leaf adds to the score (a float32); in other nodes 0. */
  value: Float64Array;
  /** Rows of the training part that came by, estimated; what TreeSHAP weighs the branches by. */
  cover: Float64Array;
}

export const LEAF = -1;
export const NO_SET = -1;
/** A code is a byte: 256 bits. */
export const SET_WORDS = 8;

/** Whether the code is in the set that begins at word `at`. */
export const isInSet = (sets: Uint32Array, at: number, code: number): boolean =>
  (sets[at + (code >>> 5)]! >>> (code & 31) & 1) === 1;

/** Whether a value goes left at a node. */
export function goesLeft(tree: Tree, node: number, value: number): boolean {
  const set = tree.set[node]!;
  if (set !== NO_SET) return isInSet(tree.sets, set, value);
  return value <= tree.threshold[node]! || (tree.missingLeft[node] === 1 && Number.isNaN(value));
}

/** Adds the tree's value of each row to `scores[row * stride + offset]`. @param columns one array a feature */
export function addTreeScores(
  tree: Tree,
  columns: readonly Float32Array[],
  scores: Float64Array,
  { stride = 1, offset = 0 }: { stride?: number; offset?: number } = {},
): void {
  const { feature, left, right, value } = tree;
  const rows = scores.length / stride;
  for (let row = 0; row < rows; row++) {
    let node = 0;
    while (feature[node]! !== LEAF) {
      node = goesLeft(tree, node, columns[feature[node]!]![row]!) ? left[node]! : right[node]!;
    }
    const at = row * stride + offset;
    scores[at] = scores[at]! + value[node]!;
  }
}

/** Numbers of the operator's modes and aggregates. */
const MODE = { lessOrEqual: 0, member: 6 } as const;
const AGGREGATE_SUM = 1;
const POST_TRANSFORM_NONE = 0;
/** The operator numbers the nodes that ask apart from the leaves. */
const IS_LEAF = 1;

/** Trees that are added up, each to one of the targets. */
export interface Ensemble {
  trees: readonly { tree: Tree; target: number }[];
  /** Values a row is given. */
  targets: number;
  /** Of features and of the sum. */
  precision: "float" | "double";
}

/** The node that gives each row of `input` [rows, features] the sums [rows, targets] of the trees. */
export function treeEnsembleNode(ensemble: Ensemble, names: { input: string; output: string }): Node {
  const { targets, precision } = ensemble;
  const reals = (values: readonly number[]): Attribute => ({
    tensor: precision === "float"
      ? { name: "", dims: [values.length], type: "float", data: Float32Array.from(values) }
      : { name: "", dims: [values.length], type: "double", data: Float64Array.from(values) },
  });
  const lists = listNodes(ensemble);
  return {
    op: "TreeEnsemble",
    domain: "ai.onnx.ml",
    inputs: [names.input],
    outputs: [names.output],
    attributes: {
      "aggregate_function": { int: AGGREGATE_SUM },
      "leaf_targetids": { ints: lists.leafTargets },
      "leaf_weights": reals(lists.leafWeights),
      ...(lists.members.length > 0 ? { "membership_values": reals(lists.members) } : {}),
      "n_targets": { int: targets },
      "nodes_falseleafs": { ints: lists.falseLeafs },
      "nodes_falsenodeids": { ints: lists.falseIds },
      "nodes_featureids": { ints: lists.features },
      "nodes_missing_value_tracks_true": { ints: lists.missingTrue },
      "nodes_modes": {
        tensor: { name: "", dims: [lists.modes.length], type: "uint8", data: Uint8Array.from(lists.modes) },
      },
      "nodes_splits": reals(lists.splits),
      "nodes_trueleafs": { ints: lists.trueLeafs },
      "nodes_truenodeids": { ints: lists.trueIds },
      "post_transform": { int: POST_TRANSFORM_NONE },
      "tree_roots": { ints: lists.roots },
    },
  };
}

/**
 * Of each asking node, in the order in which the operator numbers them, the part of the training rows that came by and
 * went the true way: what TreeSHAP can't do without, and the operator has no place for.
 */
export function trueShares({ trees }: Ensemble): number[] {
  return (trees.length > 0 ? trees : [NOTHING]).flatMap(({ tree: { feature, left, cover } }) =>
    feature.length === 1 ? [0.5] : [...feature.keys()].filter((node) => feature[node] !== LEAF)
      .map((node) => Number((cover[left[node]!]! / Math.max(1, cover[node]!)).toFixed(SHARE_DIGITS)))
  );
}

/** Digits of a share: it is a weight, not an answer. */
const SHARE_DIGITS = 5;

/** The operator takes parallel lists over the asking nodes of all trees, and over their leaves. */
function listNodes({ trees }: Ensemble) {
  const lists = {
    roots: [] as number[],
    features: [] as number[],
    splits: [] as number[],
    modes: [] as number[],
    missingTrue: [] as number[],
    trueIds: [] as number[],
    trueLeafs: [] as number[],
    falseIds: [] as number[],
    falseLeafs: [] as number[],
    leafTargets: [] as number[],
    leafWeights: [] as number[],
    /** Of each node that asks for a set, its codes, ended by NaN. */
    members: [] as number[],
  };
  let nodes = 0;
  for (const { tree, target } of trees.length > 0 ? trees : [NOTHING]) {
    lists.roots.push(nodes);
    // Numbers of the asking nodes and of the leaves, each counted by itself.
    const numbers = new Int32Array(tree.feature.length);
    for (let node = 0; node < numbers.length; node++) {
      if (tree.feature[node] !== LEAF) {
        numbers[node] = nodes++;
        continue;
      }
      numbers[node] = lists.leafWeights.length;
      lists.leafTargets.push(target);
      lists.leafWeights.push(tree.value[node]!);
    }
    const point = (ids: number[], leafs: number[], child: number) => {
      ids.push(numbers[child]!);
      leafs.push(tree.feature[child] === LEAF ? IS_LEAF : 0);
    };
    for (let node = 0; node < numbers.length; node++) {
      if (tree.feature[node] === LEAF && numbers.length > 1) continue;
      const isSet = tree.set[node] !== NO_SET;
      const isOnlyLeaf = numbers.length === 1;
      lists.features.push(Math.max(0, tree.feature[node]!));
      lists.splits.push(isSet ? 0 : tree.threshold[node]!);
      lists.modes.push(isSet ? MODE.member : MODE.lessOrEqual);
      lists.missingTrue.push(isSet ? 0 : tree.missingLeft[node]!);
      // A tree of one leaf is written as a question both of whose answers lead to it.
      point(lists.trueIds, lists.trueLeafs, isOnlyLeaf ? node : tree.left[node]!);
      point(lists.falseIds, lists.falseLeafs, isOnlyLeaf ? node : tree.right[node]!);
      if (isSet) lists.members.push(...membersOf(tree, node), NaN);
    }
    if (numbers.length === 1) nodes++;
  }
  return lists;
}

/** The codes that go left at a node that asks for a set, ascending. */
export function membersOf({ set, sets }: Tree, node: number): number[] {
  return Array.from({ length: SET_WORDS * 32 }, (_, code) => code)
    .filter((code) => isInSet(sets, set[node]!, code));
}

/** The operator needs a tree. */
const NOTHING = {
  target: 0,
  tree: {
    feature: Int32Array.of(LEAF),
    threshold: Float64Array.of(0),
    set: Int32Array.of(NO_SET),
    sets: new Uint32Array(0),
    missingLeft: Uint8Array.of(0),
    left: Int32Array.of(0),
    right: Int32Array.of(0),
    value: Float64Array.of(0),
    cover: Float64Array.of(0),
  },
};
