import { type BinnedRows, MISSING_BIN } from "./binning.ts";
import { addRows, type Derivatives, type HistogramLayout, subtract } from "./histogram.ts";
import { findBestSplit, type LeafSums, type Split, type SplitRules } from "./split_finder.ts";
import { LEAF, NO_SET } from "shared/onnx/tree_ensemble.ts";
import type { BinnedTree } from "./tree.ts";

export interface GrowthRules extends SplitRules {
  maxLeaves: number;
  /** Splits from the root to a leaf; 0: any number. */
  maxDepth: number;
  learningRate: number;
}

/** Rows `order[begin..end)` and where they stand in the tree. */
interface Leaf {
  node: number;
  depth: number;
  begin: number;
  end: number;
  sums: LeafSums;
  /** Given back when the leaf is done with. */
  histogram: Float64Array | undefined;
  split: Split | undefined;
}

export interface GrownTree {
  tree: BinnedTree;
  /** The learnt rows of each leaf with what it adds to their scores; valid until the next tree is grown. */
  leaves: { rows: Int32Array; value: number }[];
}

/**
 * Grows trees best leaf first: of all leaves the one whose split gains most is split next. Only the smaller child's
 * histogram is counted, the other's is what is left of the parent's. Buffers live as long as the grower, since a
 * fit grows hundreds of trees of one shape.
 */
export class TreeGrower {
  readonly #binned: BinnedRows;
  readonly #layout: HistogramLayout;
  readonly #rules: GrowthRules;
  /** Rows of the tree, those of one leaf together. */
  readonly #order: Int32Array;
  readonly #rightRows: Int32Array;
  readonly #freeHistograms: Float64Array[] = [];

  constructor(binned: BinnedRows, layout: HistogramLayout, rules: GrowthRules) {
    this.#binned = binned;
    this.#layout = layout;
    this.#rules = rules;
    this.#order = new Int32Array(binned.rows);
    this.#rightRows = new Int32Array(binned.rows);
  }

  /**
   * @param rows the rows to learn from
   * @param columns the columns that may be split
   */
  grow(derivatives: Derivatives, rows: Int32Array, columns: Int32Array): GrownTree {
    this.#order.set(rows);
    const tree = emptyTree(2 * this.#rules.maxLeaves - 1);
    const root: Leaf = {
      node: 0,
      depth: 0,
      begin: 0,
      end: rows.length,
      sums: sumRows(derivatives, rows),
      histogram: undefined,
      split: undefined,
    };
    const search = { derivatives, columns };
    if (this.#maySplit(root)) {
      root.histogram = this.#countRows(root, search);
      this.#findSplit(root, search);
    }
    const leaves = [root];
    while (leaves.length < this.#rules.maxLeaves) {
      const best = leafOfLargestGain(leaves);
      if (!best) break;
      const children = this.#split(best, tree, 2 * leaves.length - 1);
      leaves[leaves.indexOf(best)] = children[0];
      leaves.push(children[1]);
      if (leaves.length < this.#rules.maxLeaves) this.#shareHistogram(best, children, search);
      else this.#release(best);
    }
    return {
      leaves: leaves.map((leaf) => {
        this.#release(leaf);
        const { gradient, hessian } = leaf.sums;
        const value = Math.fround(-this.#rules.learningRate * gradient / (hessian + this.#rules.l2));
        tree.value[leaf.node] = value;
        return { rows: this.#order.subarray(leaf.begin, leaf.end), value };
      }),
      tree: trim(tree, 2 * leaves.length - 1),
    };
  }

  /** Writes the split into the tree and parts the rows; the children become the nodes `nextNode` and the one after. */
  #split(leaf: Leaf, tree: BinnedTree, nextNode: number): [left: Leaf, right: Leaf] {
    const split = leaf.split!;
    const { feature, thresholds } = this.#binned.columns[split.column]!;
    tree.feature[leaf.node] = feature;
    tree.column[leaf.node] = split.column;
    tree.threshold[leaf.node] = thresholds[split.bin - 1]!;
    tree.bin[leaf.node] = split.bin;
    tree.missingLeft[leaf.node] = split.missingLeft ? 1 : 0;
    tree.left[leaf.node] = nextNode;
    tree.right[leaf.node] = nextNode + 1;

    const middle = this.#partition(leaf, split);
    const left = { rows: middle - leaf.begin, gradient: split.leftGradient, hessian: split.leftHessian };
    const right = {
      rows: leaf.sums.rows - left.rows,
      gradient: leaf.sums.gradient - left.gradient,
      hessian: leaf.sums.hessian - left.hessian,
    };
    const child = { depth: leaf.depth + 1, histogram: undefined, split: undefined };
    return [
      { ...child, node: nextNode, begin: leaf.begin, end: middle, sums: left },
      { ...child, node: nextNode + 1, begin: middle, end: leaf.end, sums: right },
    ];
  }

  /** Gives the children the parent's histogram, in so far as they can be split at all, and finds their splits. */
  #shareHistogram(parent: Leaf, children: [left: Leaf, right: Leaf], search: Search): void {
    if (!children.some((child) => this.#maySplit(child))) return this.#release(parent);
    const [smaller, larger] = children[0].sums.rows <= children[1].sums.rows
      ? children
      : [children[1], children[0]];
    smaller.histogram = this.#countRows(smaller, search);
    larger.histogram = parent.histogram!;
    parent.histogram = undefined;
    subtract(larger.histogram, smaller.histogram);
    for (const child of children) {
      if (this.#maySplit(child)) this.#findSplit(child, search);
      else this.#release(child);
    }
  }

  #findSplit(leaf: Leaf, { derivatives, columns }: Search): void {
    leaf.split = findBestSplit(leaf.histogram!, leaf.sums, {
      layout: this.#layout,
      columns,
      gradientStep: derivatives.gradientStep,
      hessianStep: derivatives.hessianStep,
      rules: this.#rules,
    });
    if (!leaf.split) this.#release(leaf);
  }

  #maySplit(leaf: Leaf): boolean {
    return leaf.sums.rows >= 2 * this.#rules.minRowsPerLeaf && leaf.sums.rows >= 2 &&
      (this.#rules.maxDepth === 0 || leaf.depth < this.#rules.maxDepth);
  }

  #countRows(leaf: Leaf, { derivatives, columns }: Search): Float64Array {
    const histogram = this.#freeHistograms.pop() ?? new Float64Array(2 * this.#layout.firstBin.at(-1)!);
    histogram.fill(0);
    addRows(histogram, this.#order.subarray(leaf.begin, leaf.end), {
      binned: this.#binned,
      steps: derivatives.steps,
      layout: this.#layout,
      columns,
    });
    return histogram;
  }

  #release(leaf: Leaf): void {
    if (leaf.histogram) this.#freeHistograms.push(leaf.histogram);
    leaf.histogram = undefined;
  }

  /** Moves the rows that go left to the front, keeping their order on both sides; returns where the right begin. */
  #partition(leaf: Leaf, split: Split): number {
    const order = this.#order;
    const rightRows = this.#rightRows;
    const bins = this.#binned.byColumn[split.column]!;
    let left = leaf.begin;
    let right = 0;
    for (let i = leaf.begin; i < leaf.end; i++) {
      const row = order[i]!;
      const bin = bins[row]!;
      if (bin === MISSING_BIN ? split.missingLeft : bin <= split.bin) order[left++] = row;
      else rightRows[right++] = row;
    }
    order.set(rightRows.subarray(0, right), left);
    return left;
  }
}

interface Search {
  derivatives: Derivatives;
  columns: Int32Array;
}

function sumRows({ steps, gradientStep, hessianStep }: Derivatives, rows: Int32Array): LeafSums {
  let gradient = 0;
  let hessian = 0;
  for (const row of rows) {
    gradient += steps[2 * row]!;
    hessian += steps[2 * row + 1]!;
  }
  return { rows: rows.length, gradient: gradient * gradientStep, hessian: hessian * hessianStep };
}

/** The first of the leaves with the largest gain, if any can be split. */
function leafOfLargestGain(leaves: readonly Leaf[]): Leaf | undefined {
  let best: Leaf | undefined;
  for (const leaf of leaves) {
    if (leaf.split && leaf.split.gain > (best?.split?.gain ?? 0)) best = leaf;
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
    cover: new Float64Array(nodes),
    bin: new Uint8Array(nodes),
    missingLeft: new Uint8Array(nodes),
    left: new Int32Array(nodes),
    right: new Int32Array(nodes),
    value: new Float64Array(nodes),
  };
}

const trim = (tree: BinnedTree, nodes: number): BinnedTree => ({
  feature: tree.feature.slice(0, nodes),
  column: tree.column.slice(0, nodes),
  threshold: tree.threshold.slice(0, nodes),
  set: tree.set.slice(0, nodes),
  sets: tree.sets,
  cover: tree.cover.slice(0, nodes),
  bin: tree.bin.slice(0, nodes),
  missingLeft: tree.missingLeft.slice(0, nodes),
  left: tree.left.slice(0, nodes),
  right: tree.right.slice(0, nodes),
  value: tree.value.slice(0, nodes),
});
