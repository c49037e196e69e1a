/** The tree operators of ONNX read into one plain form, and checked to be trees. @module */
import { invalid } from "../errors.ts";
import type { ReadNode } from "./graph_reader.ts";

/** Nodes of all trees in one numbering; leaves are numbered with them. */
export interface ReadTrees {
  /** Of each tree, its root. */
  roots: Int32Array;
  /** The feature a node asks about; `LEAF` for a leaf. */
  feature: Int32Array;
  threshold: Float64Array;
  /** How a node asks; `LEAF` for a leaf. */
  mode: TreeMode[];
  /** What a node of the mode `BRANCH_MEMBER` looks for. */
  members: ReadonlyMap<number, readonly number[]>;
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

/** In the order in which `TreeEnsemble` numbers them. */
const MODES = [
  "BRANCH_LEQ",
  "BRANCH_LT",
  "BRANCH_GTE",
  "BRANCH_GT",
  "BRANCH_EQ",
  "BRANCH_NEQ",
  "BRANCH_MEMBER",
] as const;
export type TreeMode = (typeof MODES)[number] | "LEAF";

const AGGREGATES = ["AVERAGE", "SUM", "MIN", "MAX"];
const POST_TRANSFORMS = ["NONE", "SOFTMAX", "LOGISTIC", "SOFTMAX_ZERO", "PROBIT"];

/** `TreeEnsemble` (ai.onnx.ml 5), and the two operators before it (1 to 3). */
export const isTreeEnsemble = ({ domain, op }: Pick<ReadNode, "domain" | "op">): boolean =>
  domain === "ai.onnx.ml" && /^TreeEnsemble(?:Regressor|Classifier)?$/.test(op);

/**
 * Reads the trees of an operator.
 *
 * @throws {AppError} `invalid` when its lists do not fit together, a node has a child that is not there, or what hangs
 * on a root is no tree: a cycle would never end
 */
export function readTrees(node: ReadNode): ReadTrees {
  const known = readBefore.get(node);
  if (known !== undefined) return known;
  const trees = node.op === "TreeEnsemble" ? readTogether(new Attributes(node)) : readApart(node);
  refuseCycles(trees);
  readBefore.set(node, trees);
  return trees;
}

/** Who admits a file and who takes its trees ask for the same, and a million nodes take a second. */
const readBefore = new WeakMap<ReadNode, ReadTrees>();

const wrong = (detail: string) => invalid(`Cannot read the trees of the ONNX file: ${detail}`);

/** The attributes of a tree operator by their type. */
class Attributes {
  /** Whether a list of reals was one of float64. */
  double = false;

  constructor(readonly node: ReadNode) {}

  ints(name: string): readonly number[] {
    const attribute = this.node.attributes.get(name);
    return attribute && "ints" in attribute ? attribute.ints as readonly number[] : [];
  }

  int(name: string, otherwise: number): number {
    const attribute = this.node.attributes.get(name);
    return attribute && "int" in attribute ? attribute.int : otherwise;
  }

  text(name: string, otherwise: string): string {
    const attribute = this.node.attributes.get(name);
    return attribute && "string" in attribute ? attribute.string : otherwise;
  }

  texts(name: string): readonly string[] {
    const attribute = this.node.attributes.get(name);
    return attribute && "strings" in attribute ? attribute.strings : [];
  }

  bytes(name: string): Uint8Array {
    const attribute = this.node.attributes.get(name);
    const data = attribute && "tensor" in attribute ? attribute.tensor.data : undefined;
    return data instanceof Uint8Array ? data : new Uint8Array(0);
  }

  reals(name: string): Float64Array {
    const attribute = this.node.attributes.get(name);
    if (attribute && "floats" in attribute) return Float64Array.from(attribute.floats);
    if (!attribute || !("tensor" in attribute)) return new Float64Array(0);
    const { data } = attribute.tensor;
    if (data instanceof Float64Array) this.double = true;
    if (data instanceof Float64Array || data instanceof Float32Array) return Float64Array.from(data);
    throw wrong(`${name} are no float numbers`);
  }
}

/** `TreeEnsemble`: asking nodes and leaves are lists apart; here the leaves follow the nodes. */
function readTogether(attributes: Attributes): ReadTrees {
  const features = attributes.ints("nodes_featureids");
  const asking = features.length;
  const modes = attributes.bytes("nodes_modes");
  const splits = attributes.reals("nodes_splits");
  const targets = attributes.ints("leaf_targetids");
  const values = attributes.reals("leaf_weights");
  if (modes.length !== asking || splits.length !== asking) throw wrong("the lists of nodes differ in length");
  if (values.length !== targets.length) throw wrong("the lists of leaves differ in length");

  const children = (way: "true" | "false") => {
    const ids = attributes.ints(`nodes_${way}nodeids`);
    const leafs = attributes.ints(`nodes_${way}leafs`);
    if (ids.length !== asking || leafs.length !== asking) throw wrong("the lists of nodes differ in length");
    const all = new Int32Array(asking + targets.length);
    ids.forEach((id, at) => {
      const most = leafs[at] ? targets.length : asking;
      if (id < 0 || id >= most) throw wrong(`there is no ${leafs[at] ? "leaf" : "node"} ${id}`);
      all[at] = leafs[at] ? asking + id : id;
    });
    for (let leaf = asking; leaf < all.length; leaf++) all[leaf] = leaf;
    return all;
  };
  const missing = attributes.ints("nodes_missing_value_tracks_true");
  const roots = Int32Array.from(attributes.ints("tree_roots"));
  if (roots.some((root) => root < 0 || root >= asking)) throw wrong("a root is not one of the nodes");
  const mode = Array.from(modes, (number): TreeMode => {
    const name = MODES[number];
    if (name === undefined) throw wrong(`${number} is no mode`);
    return name;
  });
  const leaves = targets.map(() => 0);
  const count = attributes.int("n_targets", 1);
  refuseTargets(targets, count);
  return {
    roots,
    feature: Int32Array.from([...features, ...leaves.map(() => LEAF)]),
    threshold: Float64Array.from([...splits, ...leaves]),
    mode: [...mode, ...leaves.map(() => "LEAF" as const)],
    members: membersOf(mode, attributes.reals("membership_values")),
    missingTrue: Uint8Array.from([...features.map((_, at) => missing[at] ?? 0), ...leaves]),
    whenTrue: children("true"),
    whenFalse: children("false"),
    weights: {
      node: Int32Array.from(targets, (_, leaf) => asking + leaf),
      target: Int32Array.from(targets),
      value: values,
    },
    base: new Float64Array(0),
    targets: count,
    aggregate: AGGREGATES[attributes.int("aggregate_function", 1)] ?? "unknown",
    postTransform: POST_TRANSFORMS[attributes.int("post_transform", 0)] ?? "unknown",
    double: attributes.double,
  };
}

/** The members of the nodes that ask for a set follow each other, each set ended by NaN. */
function membersOf(mode: readonly TreeMode[], values: Float64Array): Map<number, number[]> {
  const members = new Map<number, number[]>();
  let at = 0;
  mode.forEach((name, node) => {
    if (name !== "BRANCH_MEMBER") return;
    const set: number[] = [];
    for (; at < values.length && !Number.isNaN(values[at]); at++) set.push(values[at]!);
    at++;
    members.set(node, set);
  });
  return members;
}

/** `TreeEnsembleRegressor` and `TreeEnsembleClassifier`: leaves are nodes, and named by their tree and their number. */
function readApart(node: ReadNode): ReadTrees {
  const attributes = new Attributes(node);
  const kind = node.op === "TreeEnsembleClassifier" ? "class" : "target";
  const reals = (name: string) =>
    node.attributes.has(`${name}_as_tensor`) ? attributes.reals(`${name}_as_tensor`) : attributes.reals(name);
  const treeIds = attributes.ints("nodes_treeids");
  const nodeIds = attributes.ints("nodes_nodeids");
  const features = attributes.ints("nodes_featureids");
  const modes = attributes.texts("nodes_modes");
  const trueIds = attributes.ints("nodes_truenodeids");
  const falseIds = attributes.ints("nodes_falsenodeids");
  const missing = attributes.ints("nodes_missing_value_tracks_true");
  const threshold = reals("nodes_values");
  const count = treeIds.length;
  for (const list of [nodeIds, features, modes, trueIds, falseIds, threshold]) {
    if (list.length !== count) throw wrong("the lists of nodes differ in length");
  }
  if (missing.length !== 0 && missing.length !== count) throw wrong("the lists of nodes differ in length");
  const mode = modes.map((name): TreeMode => {
    if (name !== "LEAF" && !MODES.some((known) => known === name)) throw wrong(`"${name}" is no mode`);
    return name as TreeMode;
  });

  const index = new Map<string, number>();
  /** The first node of each tree. */
  const roots = new Map<number, number>();
  treeIds.forEach((tree, at) => {
    if (!roots.has(tree)) roots.set(tree, at);
    const key = `${tree}/${nodeIds[at]}`;
    if (index.has(key)) throw wrong(`node ${nodeIds[at]} of tree ${tree} stands there twice`);
    index.set(key, at);
  });
  const at = (tree: number, id: number): number => {
    const found = index.get(`${tree}/${id}`);
    if (found === undefined) throw wrong(`tree ${tree} has no node ${id}`);
    return found;
  };
  const child = (id: number, position: number) =>
    mode[position] === "LEAF" ? position : at(treeIds[position]!, id);

  const ids = attributes.ints(`${kind}_ids`);
  const leafTrees = attributes.ints(`${kind}_treeids`);
  const leafNodes = attributes.ints(`${kind}_nodeids`);
  const values = reals(`${kind}_weights`);
  if (new Set([ids.length, leafTrees.length, leafNodes.length, values.length]).size > 1) {
    throw wrong("the lists of weights differ in length");
  }
  const targets = kind === "class"
    ? Math.max(
      attributes.ints("classlabels_int64s").length,
      attributes.texts("classlabels_strings").length,
    )
    : attributes.int("n_targets", 1);
  refuseTargets(ids, targets);
  return {
    roots: Int32Array.from(roots.values()),
    feature: Int32Array.from(features, (id, position) => mode[position] === "LEAF" ? LEAF : id),
    threshold,
    mode,
    members: new Map(),
    missingTrue: Uint8Array.from({ length: count }, (_, position) => missing[position] ?? 0),
    whenTrue: Int32Array.from(trueIds, child),
    whenFalse: Int32Array.from(falseIds, child),
    weights: {
      node: Int32Array.from(leafNodes, (id, position) => at(leafTrees[position]!, id)),
      target: Int32Array.from(ids),
      value: values,
    },
    base: reals("base_values"),
    targets,
    aggregate: attributes.text("aggregate_function", "SUM"),
    postTransform: attributes.text("post_transform", "NONE"),
    double: attributes.double,
  };
}

function refuseTargets(targets: readonly number[], count: number): void {
  if (targets.some((target) => target < 0 || target >= Math.max(1, count))) {
    throw wrong(`a leaf is of no target, of which there are ${count}`);
  }
}

/** What hangs on the roots is walked once: an asking node that is reached twice makes no tree. */
function refuseCycles({ roots, feature, whenTrue, whenFalse }: ReadTrees): void {
  if (roots.length === 0) throw wrong("there are none");
  const seen = new Uint8Array(feature.length);
  for (const root of roots) {
    const waiting = [root];
    for (let node = waiting.pop(); node !== undefined; node = waiting.pop()) {
      if (feature[node] === LEAF) continue;
      if (feature[node]! < 0) throw wrong(`${feature[node]} is no feature`);
      if (seen[node]) throw wrong("a node is reached twice");
      seen[node] = 1;
      waiting.push(whenTrue[node]!, whenFalse[node]!);
    }
  }
}
