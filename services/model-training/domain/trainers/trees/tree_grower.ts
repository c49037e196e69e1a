import { isInSet, LEAF, NO_SET, SET_WORDS, type Tree } from "shared/onnx/tree_ensemble.ts";
import { Random } from "../../random.ts";
import { type BinnedRows, COLUMN_BINS, MISSING_BIN } from "./binning.ts";
import { addRows, gradientOf, type Grid, hessianOf } from "./histogram.ts";
import {
  type LeafSums,
  shrink,
  SPLIT,
  SPLIT_WORDS,
  SplitFinder,
  type SplitRules,
  valueWithin,
} from "./split_finder.ts";
import type { Team } from "./team.ts";

export interface GrowthRules extends SplitRules {
  maxLeaves: number;
  /** Splits from the root to a leaf; 0: any number. */
  maxDepth: number;
  /** Share of the columns that each split may use. */
  splitFraction: number;
}

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
/** Cells (rows times columns) below which one member works alone: meeting would take longer. */
const CELLS_TO_SHARE = 30_000;

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

/** Rows `order[begin..end)` and where they stand in the tree. */
interface Leaf {
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

/** A leaf of a grown tree: its rows in the memory's order, valid until the next tree is grown. */
export interface GrownLeaf {
  node: number;
  begin: number;
  end: number;
  l2: number;
  lower: number;
  upper: number;
}

export interface GrownTree {
  /** Its leaves have no values yet. */
  tree: BinnedTree;
  leaves: readonly GrownLeaf[];
}

/** The same decisions over binned rows: `column` and `bin` in place of feature and threshold. */
export interface BinnedTree extends Tree {
  column: Int32Array;
  bin: Uint8Array;
  /** Gain of each split. */
  gain: Float64Array;
}

export interface Growth {
  /** Packed derivatives of all rows. */
  packed: Float64Array;
  grid: Grid;
  /** Rows in the memory's order, from its begin. */
  rows: number;
  /** 1 for each column the tree may use. */
  chosen: Uint8Array;
  /** What the columns of single splits are drawn by. */
  seed: number;
}

/**
 * Grows trees best leaf first: of all leaves the one whose split gains most is split next. Only the smaller child's
 * histogram is counted, the other's is what is left of the parent's. All members of the team call the same methods;
 * each counts its share of the rows and searches its share of the columns.
 */
export class TreeGrower {
  readonly #binned: BinnedRows;
  readonly #rules: GrowthRules;
  readonly #memory: GrowthMemory;
  readonly #team: Team;
  readonly #finder: SplitFinder;
  readonly #free: number[] = [];

  constructor(
    binned: BinnedRows,
    rules: GrowthRules,
    { memory, team }: { memory: GrowthMemory; team: Team },
  ) {
    this.#binned = binned;
    this.#rules = rules;
    this.#memory = memory;
    this.#team = team;
    this.#finder = new SplitFinder(binned, rules);
  }

  grow(growth: Growth): GrownTree {
    this.#free.splice(0, Infinity, ...this.#memory.histograms.keys());
    const tree = emptyTree(2 * this.#rules.maxLeaves - 1);
    const root: Leaf = {
      node: 0,
      depth: 0,
      begin: 0,
      end: growth.rows,
      sums: { rows: growth.rows, gradient: 0, hessian: 0, lower: -Infinity, upper: Infinity },
      l2: this.#rules.l2,
      histogram: -1,
      split: new Float64Array(SPLIT_WORDS),
    };
    tree.cover[0] = growth.rows;
    const leaves = [root];
    if (this.#binned.columns.length > 0 && this.#maySplit(root)) {
      this.#countAndMerge(root, growth, leaves);
      this.#sumRoot(root);
      this.#search([root], growth);
    }
    while (leaves.length < this.#rules.maxLeaves) {
      const best = leafOfLargestGain(leaves);
      if (!best) break;
      const isLast = leaves.length + 1 === this.#rules.maxLeaves;
      const children = this.#split(best, tree, { growth, leaves, isLast });
      leaves[leaves.indexOf(best)] = children[0];
      leaves.push(children[1]);
    }
    return {
      leaves: leaves.map(({ node, begin, end, l2, sums: { lower, upper } }) => (
        { node, begin, end, l2, lower, upper }
      )),
      tree: trim(tree, 2 * leaves.length - 1),
    };
  }

  /** Writes the split into the tree, parts the rows, and finds the children's own splits unless they are the last. */
  #split(
    leaf: Leaf,
    tree: BinnedTree,
    { growth, leaves, isLast }: { growth: Growth; leaves: readonly Leaf[]; isLast: boolean },
  ): [left: Leaf, right: Leaf] {
    const leftNode = 2 * leaves.length - 1;
    this.#describe(leaf, tree, leftNode);
    const mayMatter = !isLast && (this.#rules.maxDepth === 0 || leaf.depth + 1 < this.#rules.maxDepth);
    if (mayMatter && leaf.histogram === -1) this.#countAndMerge(leaf, growth, leaves);
    const middle = this.#part(leaf, mayMatter ? growth : undefined);
    const children = this.#childrenOf(leaf, { middle, leftNode, grid: growth.grid });
    tree.cover[leftNode] = children[0].sums.rows;
    tree.cover[leftNode + 1] = children[1].sums.rows;
    if (!mayMatter || !children.some((child) => this.#maySplit(child))) {
      this.#release(leaf);
      return children;
    }
    const [smaller, larger] = inOrderOfSize(children);
    smaller.histogram = this.#take(leaves, leaf);
    larger.histogram = leaf.histogram;
    leaf.histogram = -1;
    this.#mergeAndSubtract(smaller, larger, leaf);
    this.#search(children, growth);
    return children;
  }

  #describe(leaf: Leaf, tree: BinnedTree, leftNode: number): void {
    const { node, split } = leaf;
    const column = split[SPLIT.column]!;
    const { feature, thresholds } = this.#binned.columns[column]!;
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

  #childrenOf(
    leaf: Leaf,
    { middle, leftNode, grid }: { middle: number; leftNode: number; grid: Grid },
  ): [left: Leaf, right: Leaf] {
    const { split, sums } = leaf;
    const l2 = split[SPLIT.l2]!;
    const left = {
      rows: middle - leaf.begin,
      gradient: split[SPLIT.gradient]!,
      hessian: split[SPLIT.hessian]!,
      lower: sums.lower,
      upper: sums.upper,
    };
    const right = {
      rows: leaf.end - middle,
      gradient: sums.gradient - left.gradient,
      hessian: sums.hessian - left.hessian,
      lower: sums.lower,
      upper: sums.upper,
    };
    const direction = this.#rules.monotone?.[split[SPLIT.column]!] ?? 0;
    if (direction !== 0) {
      // No value below the one may pass a value below the other (LightGBM's basic method).
      const border = (this.#valueOf(left, l2, grid) + this.#valueOf(right, l2, grid)) / 2;
      const [lower, upper] = direction > 0 ? [left, right] : [right, left];
      lower.upper = Math.min(lower.upper, border);
      upper.lower = Math.max(upper.lower, border);
    }
    const child = () => ({
      depth: leaf.depth + 1,
      l2,
      histogram: -1,
      split: new Float64Array(SPLIT_WORDS),
    });
    return [
      { ...child(), node: leftNode, begin: leaf.begin, end: middle, sums: left },
      { ...child(), node: leftNode + 1, begin: middle, end: leaf.end, sums: right },
    ];
  }

  #valueOf(sums: LeafSums, l2: number, grid: Grid): number {
    const pull = shrink(sums.gradient / grid.gradient, this.#rules.l1);
    return valueWithin(-pull / (sums.hessian / grid.hessian + l2), sums);
  }

  #maySplit({ sums, depth }: Leaf): boolean {
    return sums.rows >= 2 * this.#rules.minRowsPerLeaf && sums.rows >= 2 &&
      (this.#rules.maxDepth === 0 || depth < this.#rules.maxDepth);
  }

  #isShared(rows: number): boolean {
    return this.#team.size > 1 && rows * this.#binned.columns.length > CELLS_TO_SHARE;
  }

  /** Counts a leaf's rows into a histogram of its own. */
  #countAndMerge(leaf: Leaf, { packed }: Growth, leaves: readonly Leaf[]): void {
    const team = this.#team;
    const { order, parts, histograms } = this.#memory;
    leaf.histogram = this.#take(leaves, leaf);
    const target = histograms[leaf.histogram]!;
    const part = parts[team.rank]!;
    const [from, to] = team.share(leaf.end - leaf.begin);
    part.fill(0);
    addRows(part, { binned: this.#binned, order, packed }, { from: leaf.begin + from, to: leaf.begin + to });
    team.barrier();
    const [first, end] = this.#cells();
    mergeParts(target, parts, { first, end });
    team.barrier();
  }

  #sumRoot(root: Leaf): void {
    const histogram = this.#memory.histograms[root.histogram]!;
    let packed = 0;
    for (let bin = 0; bin < COLUMN_BINS; bin++) packed += histogram[bin]!;
    root.sums.gradient = gradientOf(packed);
    root.sums.hessian = hessianOf(packed);
  }

  /**
   * Moves the rows that go left to the front of the leaf, keeping their order on both sides, and counts those of the
   * smaller side into the members' parts, if there is something to count for.
   *
   * @returns where the right side begins
   */
  #part(leaf: Leaf, growth: Growth | undefined): number {
    const team = this.#team;
    const { counts, parts } = this.#memory;
    const part = parts[team.rank]!;
    const isShared = this.#isShared(leaf.end - leaf.begin);
    const [from, to] = isShared
      ? team.share(leaf.end - leaf.begin)
      : team.rank === 0
      ? [0, leaf.end - leaf.begin]
      : [0, 0];
    const begin = leaf.begin + from;
    const end = leaf.begin + to;
    const left = this.#sortOut(leaf, begin, end);
    counts[team.rank] = left;
    team.barrier();
    let [toLeft, total] = [leaf.begin, 0];
    for (let member = 0; member < team.size; member++) {
      if (member < team.rank) toLeft += counts[member]!;
      total += counts[member]!;
    }
    const middle = leaf.begin + total;
    const toRight = middle + (begin - leaf.begin) - (toLeft - leaf.begin);
    const right = end - begin - left;
    this.#putBack({ begin, end, left, toLeft, toRight });
    if (growth !== undefined) {
      part.fill(0);
      const isLeftSmaller = total <= leaf.end - middle;
      const own = isLeftSmaller
        ? { from: toLeft, to: toLeft + left }
        : { from: toRight, to: toRight + right };
      addRows(part, { binned: this.#binned, order: this.#memory.order, packed: growth.packed }, own);
    }
    team.barrier();
    return middle;
  }

  /** Rows `order[begin..end)` into the same place of the spare: those that go left from its front, others from its back. */
  #sortOut({ split }: Leaf, begin: number, end: number): number {
    const { order, spare } = this.#memory;
    const bins = this.#binned.byColumn[split[SPLIT.column]!]!;
    let left = begin;
    let right = end;
    if (split[SPLIT.isSet] === 1) {
      const set = Uint32Array.from(split.subarray(SPLIT.set));
      for (let i = begin; i < end; i++) {
        const row = order[i]!;
        if (isInSet(set, 0, bins[row]!)) spare[left++] = row;
        else spare[--right] = row;
      }
      return left - begin;
    }
    const last = split[SPLIT.bin]!;
    const missingLeft = split[SPLIT.missingLeft] === 1;
    for (let i = begin; i < end; i++) {
      const row = order[i]!;
      const bin = bins[row]!;
      if (bin === MISSING_BIN ? missingLeft : bin <= last) spare[left++] = row;
      else spare[--right] = row;
    }
    return left - begin;
  }

  #putBack(
    { begin, end, left, toLeft, toRight }: {
      begin: number;
      end: number;
      left: number;
      toLeft: number;
      toRight: number;
    },
  ): void {
    const { order, spare } = this.#memory;
    order.set(spare.subarray(begin, begin + left), toLeft);
    const right = end - begin - left;
    for (let i = 0; i < right; i++) order[toRight + i] = spare[end - 1 - i]!;
  }

  /** This member's share of the cells of a histogram: those of its columns. */
  #cells(): [first: number, end: number] {
    const [from, to] = this.#team.share(this.#binned.columns.length);
    return [from * COLUMN_BINS, to * COLUMN_BINS];
  }

  /** The smaller child's histogram from the members' parts, and the larger child's from what is left of the parent's. */
  #mergeAndSubtract(smaller: Leaf, larger: Leaf, parent: Leaf): void {
    const { histograms, parts } = this.#memory;
    const [first, end] = this.#cells();
    const own = histograms[smaller.histogram]!;
    const rest = histograms[larger.histogram]!;
    // Where one member has counted alone, the parts of the others are empty.
    mergeParts(own, this.#isShared(parent.end - parent.begin) ? parts : parts.slice(0, 1), { first, end });
    for (let cell = first; cell < end; cell++) rest[cell] = rest[cell]! - own[cell]!;
  }

  /** Each member searches its columns, and all take the best that anyone has found. */
  #search(leaves: readonly Leaf[], growth: Growth): void {
    const team = this.#team;
    const { histograms, splits } = this.#memory;
    const [from, to] = team.share(this.#binned.columns.length);
    leaves.forEach((leaf, index) => {
      const into = splits.subarray(
        (2 * team.rank + index) * SPLIT_WORDS,
        (2 * team.rank + index + 1) * SPLIT_WORDS,
      );
      into.fill(0);
      if (!this.#maySplit(leaf)) return;
      const chosen = this.#draw(leaf, growth);
      this.#finder.find(
        histograms[leaf.histogram]!,
        leaf.sums,
        { grid: growth.grid, chosen, from, to },
        into,
      );
    });
    team.barrier();
    leaves.forEach((leaf, index) => {
      for (let member = 0; member < team.size; member++) {
        const at = (2 * member + index) * SPLIT_WORDS;
        if (splits[at + SPLIT.gain]! > leaf.split[SPLIT.gain]!) {
          leaf.split.set(splits.subarray(at, at + SPLIT_WORDS));
        }
      }
      if (leaf.split[SPLIT.gain] === 0) this.#release(leaf);
    });
    team.barrier();
  }

  /** The columns that a split of the leaf may use. */
  #draw({ node }: Leaf, { chosen, seed }: Growth): Uint8Array {
    const { splitFraction } = this.#rules;
    if (splitFraction === 1) return chosen;
    const usable = Int32Array.from(chosen.keys()).filter((column) => chosen[column] === 1);
    const count = Math.max(1, Math.round(usable.length * splitFraction));
    const drawn = new Uint8Array(chosen.length);
    for (const index of new Random(seed + node).sample(usable.length, count)) drawn[usable[index]!] = 1;
    return drawn;
  }

  /** A histogram for the leaf: a free one, else that of the leaf that gains least, which is counted anew if need be. */
  #take(leaves: readonly Leaf[], keep: Leaf): number {
    const free = this.#free.pop();
    if (free !== undefined) return free;
    const holders = leaves.filter((leaf) => leaf.histogram !== -1 && leaf !== keep);
    const poorest = holders.reduce((a, b) => b.split[SPLIT.gain]! < a.split[SPLIT.gain]! ? b : a);
    const { histogram } = poorest;
    poorest.histogram = -1;
    return histogram;
  }

  #release(leaf: Leaf): void {
    if (leaf.histogram !== -1) this.#free.push(leaf.histogram);
    leaf.histogram = -1;
  }
}

function mergeParts(
  target: Float64Array,
  parts: readonly Float64Array[],
  { first, end }: { first: number; end: number },
): void {
  target.set(parts[0]!.subarray(first, end), first);
  for (const part of parts.slice(1)) {
    for (let cell = first; cell < end; cell++) target[cell] = target[cell]! + part[cell]!;
  }
}

const inOrderOfSize = ([left, right]: [Leaf, Leaf]): [smaller: Leaf, larger: Leaf] =>
  left.sums.rows <= right.sums.rows ? [left, right] : [right, left];

/** The first of the leaves with the largest gain, if any can be split. */
function leafOfLargestGain(leaves: readonly Leaf[]): Leaf | undefined {
  let best: Leaf | undefined;
  for (const leaf of leaves) {
    if (leaf.split[SPLIT.gain]! > (best?.split[SPLIT.gain] ?? 0)) best = leaf;
  }
  return best;
}

function emptyTree(nodes: number): BinnedTree {
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

const trim = (tree: BinnedTree, nodes: number): BinnedTree => ({
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
