import type { ReadTrees } from "../onnx/trees.ts";

/** Trees with what their explanation needs. */
export interface ExplainableTrees extends ReadTrees {
  /** Of each node that asks, the part of the training rows that went the true way. */
  trueShares: ArrayLike<number>;
}

/** The features on the way to a leaf, each once, with how the row and the rows of the training part go there. */
interface Path {
  length: number;
  feature: Int32Array;
  /** Part of the training rows that would go this way if the feature were unknown. */
  zero: Float64Array;
  /** 1 where the row itself goes this way, else 0. */
  one: Float64Array;
  /** Of all subsets of so many features, how many lead here, weighted as Shapley values are. */
  weight: Float64Array;
}

/**
 * SHAP values of trees: to each feature the part of the answer that it is responsible for, where a feature that is
 * unknown sends a row both ways, in parts as the training rows went (Lundberg, Erion and Lee, "Consistent individualized
 * feature attribution for tree ensembles", 2018, algorithm 2; polynomial in the depth instead of exponential in the
 * number of features).
 *
 * @param row values by feature, as the trees see them
 * @param into added to: [features, targets]
 */
export function addTreeShap(trees: ExplainableTrees, row: ArrayLike<number>, into: Float64Array): void {
  const explained = { row, into, weights: leafWeights(trees), paths: [] };
  for (const root of trees.roots) {
    visit(trees, { node: root, path: NO_PATH, depth: 0, zero: 1, one: 1, feature: -1 }, explained);
  }
}

/** What the trees answer on average over the training rows: [targets]. */
export function expectedValues(trees: ExplainableTrees): Float64Array {
  const expected = new Float64Array(trees.targets);
  const weights = leafWeights(trees);
  const walk = (node: number, share: number): void => {
    if (trees.mode[node] === "LEAF") {
      for (const { target, value } of weights.get(node) ?? []) {
        expected[target] = expected[target]! + share * value;
      }
      return;
    }
    const trueShare = trees.trueShares[node]!;
    walk(trees.whenTrue[node]!, share * trueShare);
    walk(trees.whenFalse[node]!, share * (1 - trueShare));
  };
  for (const root of trees.roots) walk(root, 1);
  return expected;
}

/** Whether a value goes the true way. */
export function goesTrue(trees: ReadTrees, node: number, value: number): boolean {
  if (Number.isNaN(value) && trees.missingTrue[node] === 1) return true;
  return trees.mode[node] === "BRANCH_MEMBER"
    ? trees.members.get(node)!.includes(value)
    : value <= trees.threshold[node]!;
}

type LeafWeights = ReadonlyMap<number, readonly { target: number; value: number }[]>;

/** Kept by the trees they are of: explaining a row must not list the leaves again. */
const known = new WeakMap<ReadTrees, LeafWeights>();

function leafWeights(trees: ReadTrees): LeafWeights {
  const kept = known.get(trees);
  if (kept) return kept;
  const weights = new Map<number, { target: number; value: number }[]>();
  const { node, target, value } = trees.weights;
  node.forEach((leaf, index) => {
    const own = weights.get(leaf) ?? [];
    own.push({ target: target[index]!, value: value[index]! });
    weights.set(leaf, own);
  });
  known.set(trees, weights);
  return weights;
}

interface Step {
  node: number;
  path: Path;
  depth: number;
  zero: number;
  one: number;
  feature: number;
}

interface Explained {
  row: ArrayLike<number>;
  into: Float64Array;
  weights: LeafWeights;
  /** One for each depth, written anew for each node there: allocating them would take most of the time. */
  paths: Path[];
}

function visit(trees: ExplainableTrees, step: Step, explained: Explained): void {
  const { node, depth } = step;
  const path = explained.paths[depth] ??= emptyPath(depth + 1);
  extend(path, step.path, step);
  if (trees.mode[node] === "LEAF") return attribute(trees, node, path, explained);
  const feature = trees.feature[node]!;
  const isTrue = goesTrue(trees, node, explained.row[feature]!);
  // A feature that was asked for before is on the path once: what it said then is multiplied in.
  let before = path.length - 1;
  while (before >= 0 && path.feature[before] !== feature) before--;
  const [zero, one] = before < 0 ? [1, 1] : [path.zero[before]!, path.one[before]!];
  if (before >= 0) unwind(path, before);
  const trueShare = trees.trueShares[node]!;
  const go = (child: number, share: number, isTaken: boolean) =>
    visit(
      trees,
      { node: child, path, depth: depth + 1, zero: zero * share, one: isTaken ? one : 0, feature },
      explained,
    );
  // Of a side that no row of the training part took, and this one does not either, nothing comes.
  if (trueShare > 0 || isTrue) go(trees.whenTrue[node]!, trueShare, isTrue);
  if (trueShare < 1 || !isTrue) go(trees.whenFalse[node]!, 1 - trueShare, !isTrue);
}

function attribute(
  { targets }: ExplainableTrees,
  leaf: number,
  path: Path,
  { into, weights }: Explained,
): void {
  const values = weights.get(leaf) ?? [];
  for (let at = 1; at < path.length; at++) {
    const share = unwoundSum(path, at) * (path.one[at]! - path.zero[at]!);
    for (const { target, value } of values) {
      const place = path.feature[at]! * targets + target;
      into[place] = into[place]! + share * value;
    }
  }
}

const emptyPath = (room: number): Path => ({
  length: 0,
  feature: new Int32Array(room),
  zero: new Float64Array(room),
  one: new Float64Array(room),
  weight: new Float64Array(room),
});

const NO_PATH = emptyPath(0);

/** Makes `longer` the path with one more feature. */
function extend(longer: Path, path: Path, { zero, one, feature }: Step): void {
  const { length } = path;
  longer.length = length + 1;
  for (let i = 0; i < length; i++) {
    longer.feature[i] = path.feature[i]!;
    longer.zero[i] = path.zero[i]!;
    longer.one[i] = path.one[i]!;
    longer.weight[i] = path.weight[i]!;
  }
  const { weight } = longer;
  longer.feature[length] = feature;
  longer.zero[length] = zero;
  longer.one[length] = one;
  weight[length] = length === 0 ? 1 : 0;
  for (let i = length - 1; i >= 0; i--) {
    weight[i + 1] = weight[i + 1]! + one * weight[i]! * (i + 1) / (length + 1);
    weight[i] = zero * weight[i]! * (length - i) / (length + 1);
  }
}

/** Takes a feature out of the path. */
function unwind(path: Path, at: number): void {
  const last = path.length - 1;
  const one = path.one[at]!;
  const zero = path.zero[at]!;
  const { weight } = path;
  let next = weight[last]!;
  for (let i = last - 1; i >= 0; i--) {
    if (one !== 0) {
      const before = weight[i]!;
      weight[i] = next * (last + 1) / ((i + 1) * one);
      next = before - weight[i]! * zero * (last - i) / (last + 1);
    } else weight[i] = weight[i]! * (last + 1) / (zero * (last - i));
  }
  for (let i = at; i < last; i++) {
    path.feature[i] = path.feature[i + 1]!;
    path.zero[i] = path.zero[i + 1]!;
    path.one[i] = path.one[i + 1]!;
  }
  path.length = last;
}

/** The sum of the weights of the path without a feature. */
function unwoundSum(path: Path, at: number): number {
  const last = path.length - 1;
  const one = path.one[at]!;
  const zero = path.zero[at]!;
  const { weight } = path;
  let next = weight[last]!;
  let sum = 0;
  for (let i = last - 1; i >= 0; i--) {
    if (one !== 0) {
      const own = next * (last + 1) / ((i + 1) * one);
      sum += own;
      next = weight[i]! - own * zero * (last - i) / (last + 1);
    } else if (zero !== 0) sum += weight[i]! * (last + 1) / (zero * (last - i));
  }
  return sum;
}
