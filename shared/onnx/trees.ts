/** The tree operators of ONNX as one plain form, checked to be trees. @module */
import { invalid } from "../errors.ts";
import type { ReadNode } from "./graph_reader.ts";

/** Nodes of all trees in one numbering; leaves are numbered with them. */
export interface TreeEnsemble {
  /** Of each tree, its root. */
  roots: Int32Array;
  /** The feature a node asks about; `LEAF` for a leaf. */
  feature: Int32Array;
  threshold: Float64Array;
  /** `BRANCH_LEQ` and so on. */
  mode: string[];
  /** Whether a missing value goes the way of `whenTrue`. */
  missingTrue: Uint8Array;
  whenTrue: Int32Array;
  whenFalse: Int32Array;
  /** Of each weight: its leaf, what it is added to, and how much. */
  weights: { node: Int32Array; target: Int32Array; value: Float64Array };
  /** Added to the sums, one for each target; empty for none. */
  base: Float64Array;
  targets: number;
  aggregate: string;
  postTransform: string;
  /** Whether thresholds and sums are float64. */
  double: boolean;
}

export const LEAF = -1;

/** The tree operators whose parallel lists are laid out alike (ai.onnx.ml 1 to 3). */
export const isTreeEnsemble = ({ domain, op }: Pick<ReadNode, "domain" | "op">): boolean =>
  domain === "ai.onnx.ml" && (op === "TreeEnsembleRegressor" || op === "TreeEnsembleClassifier");

/** The tree operator of ai.onnx.ml 5. */
export const isTreeEnsemble5 = ({ domain, op }: Pick<ReadNode, "domain" | "op">): boolean =>
  domain === "ai.onnx.ml" && op === "TreeEnsemble";

/**
 * Reads `TreeEnsembleRegressor` or `TreeEnsembleClassifier`.
 *
 * @throws {AppError} `invalid` when its lists do not fit together, a node has a child that is not there, or what hangs
 * on a root is no tree: a cycle would never end
 */
export function readTrees(node: ReadNode): TreeEnsemble {
  const kind = node.op === "TreeEnsembleClassifier" ? "class" : "target";
  const wrong = (detail: string) => invalid(`Cannot read the trees of the ONNX file: ${detail}`);
  const ints = (name: string): readonly number[] => {
    const attribute = node.attributes.get(name);
    return attribute && "ints" in attribute ? attribute.ints as readonly number[] : [];
  };
  const text = (name: string, otherwise: string): string => {
    const attribute = node.attributes.get(name);
    return attribute && "string" in attribute ? attribute.string : otherwise;
  };
  let double = false;
  const reals = (name: string): Float64Array => {
    const tensor = node.attributes.get(`${name}_as_tensor`);
    if (tensor && "tensor" in tensor) {
      const { data } = tensor.tensor;
      if (data instanceof Float64Array) double = true;
      if (data instanceof Float64Array || data instanceof Float32Array) return Float64Array.from(data);
      throw wrong(`${name} are no float numbers`);
    }
    const attribute = node.attributes.get(name);
    return attribute && "floats" in attribute ? Float64Array.from(attribute.floats) : new Float64Array(0);
  };

  const treeIds = ints("nodes_treeids");
  const nodeIds = ints("nodes_nodeids");
  const features = ints("nodes_featureids");
  const modes = node.attributes.get("nodes_modes");
  const mode = modes && "strings" in modes ? [...modes.strings] : [];
  const trueIds = ints("nodes_truenodeids");
  const falseIds = ints("nodes_falsenodeids");
  const missing = ints("nodes_missing_value_tracks_true");
  const threshold = reals("nodes_values");
  const count = treeIds.length;
  const lists = { nodeIds, features, mode, trueIds, falseIds, threshold };
  for (const [name, list] of Object.entries(lists)) {
    if (list.length !== count) throw wrong(`there are ${count} nodes, but ${list.length} in ${name}`);
  }
  if (count === 0) throw wrong("there are none");
  if (missing.length !== 0 && missing.length !== count) throw wrong("the lists of nodes differ in length");

  const index = new Map<string, number>();
  treeIds.forEach((tree, at) => {
    const key = `${tree}/${nodeIds[at]}`;
    if (index.has(key)) throw wrong(`node ${nodeIds[at]} of tree ${tree} stands there twice`);
    index.set(key, at);
  });
  const at = (tree: number, id: number): number => {
    const found = index.get(`${tree}/${id}`);
    if (found === undefined) throw wrong(`tree ${tree} has no node ${id}`);
    return found;
  };
  const isLeaf = (position: number) => mode[position] === "LEAF";
  const child = (position: number, id: number) => isLeaf(position) ? position : at(treeIds[position]!, id);
  const whenTrue = Int32Array.from(trueIds, (id, position) => child(position, id));
  const whenFalse = Int32Array.from(falseIds, (id, position) => child(position, id));
  const feature = Int32Array.from(features, (id, position) => isLeaf(position) ? LEAF : id);
  if (feature.some((id, position) => id < 0 && !isLeaf(position))) throw wrong("a feature is negative");

  const roots = rootsOf(treeIds, { feature, whenTrue, whenFalse }, wrong);

  const [ids, leafTrees, leafNodes] = ["ids", "treeids", "nodeids"].map((name) => ints(`${kind}_${name}`));
  const values = reals(`${kind}_weights`);
  if (new Set([ids!.length, leafTrees!.length, leafNodes!.length, values.length]).size > 1) {
    throw wrong("the lists of weights differ in length");
  }
  const declared = node.attributes.get("n_targets");
  const classes = ["classlabels_int64s", "classlabels_strings"].map((name) => node.attributes.get(name))
    .map((labels) =>
      labels && "ints" in labels
        ? labels.ints.length
        : labels && "strings" in labels
        ? labels.strings.length
        : 0
    );
  const targets = kind === "class" ? Math.max(...classes) : declared && "int" in declared ? declared.int : 1;
  if (ids!.some((id) => id < 0 || id >= Math.max(1, targets))) throw wrong("a weight is of no target");
  return {
    roots,
    feature,
    threshold,
    mode,
    missingTrue: Uint8Array.from({ length: count }, (_, position) => missing[position] ?? 0),
    whenTrue,
    whenFalse,
    weights: {
      node: Int32Array.from(leafNodes!, (id, position) => at(leafTrees![position]!, id)),
      target: Int32Array.from(ids!),
      value: values,
    },
    base: reals("base_values"),
    targets,
    aggregate: text("aggregate_function", "SUM"),
    postTransform: text("post_transform", "NONE"),
    double,
  };
}

/**
 * Checks the operator `TreeEnsemble` (ai.onnx.ml 5), whose nodes and leaves are lists of their own.
 *
 * @returns the largest feature it asks about
 * @throws {AppError} `invalid` as {@link readTrees}
 */
export function checkTreeEnsemble5(node: ReadNode): number {
  const wrong = (detail: string) => invalid(`Cannot read the trees of the ONNX file: ${detail}`);
  const ints = (name: string): readonly number[] => {
    const attribute = node.attributes.get(name);
    return attribute && "ints" in attribute ? attribute.ints as readonly number[] : [];
  };
  const features = ints("nodes_featureids");
  const branches = ["true", "false"].map((way) => ({
    ids: ints(`nodes_${way}nodeids`),
    leafs: ints(`nodes_${way}leafs`),
  }));
  const leaves = ints("leaf_targetids").length;
  for (const { ids, leafs } of branches) {
    if (ids.length !== features.length || leafs.length !== features.length) {
      throw wrong("the lists of nodes differ in length");
    }
  }
  const seen = new Uint8Array(features.length);
  for (const root of ints("tree_roots")) {
    const waiting = [root];
    for (let at = waiting.pop(); at !== undefined; at = waiting.pop()) {
      if (at < 0 || at >= features.length) throw wrong(`there is no node ${at}`);
      if (seen[at]) throw wrong("a node is reached twice: that is no tree");
      seen[at] = 1;
      for (const { ids, leafs } of branches) {
        const id = ids[at]!;
        if (!leafs[at]) {
          // A tree of one leaf is a node with that leaf on both sides.
          waiting.push(id);
        } else if (id < 0 || id >= leaves) throw wrong(`there is no leaf ${id}`);
      }
    }
  }
  return features.reduce((most, id) => Math.max(most, id), 0);
}

/** The first node of each tree; what hangs on it is walked once, and a node that is reached twice makes no tree. */
function rootsOf(
  treeIds: readonly number[],
  { feature, whenTrue, whenFalse }: Pick<TreeEnsemble, "feature" | "whenTrue" | "whenFalse">,
  wrong: (detail: string) => Error,
): Int32Array {
  const seen = new Uint8Array(treeIds.length);
  const roots: number[] = [];
  const rooted = new Set<number>();
  treeIds.forEach((tree, first) => {
    if (rooted.has(tree)) return;
    rooted.add(tree);
    roots.push(first);
    const waiting = [first];
    for (let node = waiting.pop(); node !== undefined; node = waiting.pop()) {
      if (seen[node]) throw wrong(`tree ${tree} is none: a node is reached twice`);
      seen[node] = 1;
      if (feature[node] !== LEAF) waiting.push(whenTrue[node]!, whenFalse[node]!);
    }
  });
  return Int32Array.from(roots);
}
