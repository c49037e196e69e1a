import { Random } from "../../../random.ts";
import type { BinnedRows } from "../binning.ts";
import type { Grid } from "../histogram.ts";
import {
  type LeafSums,
  shrink,
  SPLIT,
  SPLIT_WORDS,
  SplitFinder,
  type SplitRules,
  valueWithin,
} from "../split_finder.ts";
import type { Team } from "../team.ts";
import { type BinnedTree, emptyTree, trim, writeSplit } from "./binned_tree.ts";
import type { GrowthMemory } from "./growth_memory.ts";
import { inOrderOfSize, type Leaf, leafOfLargestGain } from "./leaf.ts";
import { LeafHistograms } from "./leaf_histograms.ts";
import { RowPartition } from "./row_partition.ts";

export interface GrowthRules extends SplitRules {
  maxLeaves: number;
  /** Splits from the root to a leaf; 0: any number. */
  maxDepth: number;
  /** Share of the columns that each split may use. */
  splitFraction: number;
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

/** Cells (rows times columns) below which one member works alone: meeting would take longer. */
const CELLS_TO_SHARE = 30_000;

/**
 * Grows trees best leaf first: of all leaves the one whose split gains most is split next. Only the smaller child's
 * histogram is counted, the other's is what is left of the parent's. All members of the team call the same methods;
 * each counts its share of the rows and searches its share of the columns.
 */
export class TreeGrower {
  readonly #binned: BinnedRows;
  readonly #rules: GrowthRules;
  readonly #splits: Float64Array;
  readonly #team: Team;
  readonly #finder: SplitFinder;
  readonly #histograms: LeafHistograms;
  readonly #partition: RowPartition;

  constructor(binned: BinnedRows, rules: GrowthRules, shared: { memory: GrowthMemory; team: Team }) {
    this.#binned = binned;
    this.#rules = rules;
    this.#splits = shared.memory.splits;
    this.#team = shared.team;
    this.#finder = new SplitFinder(binned, rules);
    this.#histograms = new LeafHistograms(binned, shared);
    this.#partition = new RowPartition(binned, shared);
  }

  grow(growth: Growth): GrownTree {
    this.#histograms.reset();
    const tree = emptyTree(2 * this.#rules.maxLeaves - 1);
    tree.cover[0] = growth.rows;
    const root = this.#rootOf(growth);
    const leaves = [root];
    if (this.#binned.columns.length > 0 && this.#maySplit(root)) {
      this.#histograms.count(root, growth.packed, leaves);
      Object.assign(root.sums, this.#histograms.sum(root));
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

  #rootOf({ rows }: Growth): Leaf {
    return {
      node: 0,
      depth: 0,
      begin: 0,
      end: rows,
      sums: { rows, gradient: 0, hessian: 0, lower: -Infinity, upper: Infinity },
      l2: this.#rules.l2,
      histogram: -1,
      split: new Float64Array(SPLIT_WORDS),
    };
  }

  /** Writes the split into the tree, parts the rows, and finds the children's own splits unless they are the last. */
  #split(
    leaf: Leaf,
    tree: BinnedTree,
    { growth, leaves, isLast }: { growth: Growth; leaves: readonly Leaf[]; isLast: boolean },
  ): [left: Leaf, right: Leaf] {
    const leftNode = 2 * leaves.length - 1;
    writeSplit(tree, leaf, { columns: this.#binned.columns, leftNode });
    const mayMatter = !isLast && (this.#rules.maxDepth === 0 || leaf.depth + 1 < this.#rules.maxDepth);
    if (mayMatter && leaf.histogram === -1) this.#histograms.count(leaf, growth.packed, leaves);
    const isShared = this.#isShared(leaf.end - leaf.begin);
    const { middle, left, right } = this.#partition.part(leaf, isShared);
    if (mayMatter) {
      const isLeftSmaller = middle - leaf.begin <= leaf.end - middle;
      this.#histograms.addPart(isLeftSmaller ? left : right, growth.packed);
    }
    this.#team.barrier();
    const children = this.#childrenOf(leaf, { middle, leftNode, grid: growth.grid });
    tree.cover[leftNode] = children[0].sums.rows;
    tree.cover[leftNode + 1] = children[1].sums.rows;
    if (!mayMatter || !children.some((child) => this.#maySplit(child))) {
      this.#histograms.release(leaf);
      return children;
    }
    this.#histograms.part(leaf, inOrderOfSize(children), { leaves, isShared });
    this.#search(children, growth);
    return children;
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

  /** Each member searches its columns, and all take the best that anyone has found. */
  #search(leaves: readonly Leaf[], growth: Growth): void {
    const team = this.#team;
    const splits = this.#splits;
    const [from, to] = team.share(this.#binned.columns.length);
    leaves.forEach((leaf, index) => {
      const into = splits.subarray(
        (2 * team.rank + index) * SPLIT_WORDS,
        (2 * team.rank + index + 1) * SPLIT_WORDS,
      );
      into.fill(0);
      if (!this.#maySplit(leaf)) return;
      const chosen = this.#draw(leaf, growth);
      this.#finder.find(this.#histograms.of(leaf), leaf.sums, { grid: growth.grid, chosen, from, to }, into);
    });
    team.barrier();
    leaves.forEach((leaf, index) => {
      for (let member = 0; member < team.size; member++) {
        const at = (2 * member + index) * SPLIT_WORDS;
        if (splits[at + SPLIT.gain]! > leaf.split[SPLIT.gain]!) {
          leaf.split.set(splits.subarray(at, at + SPLIT_WORDS));
        }
      }
      if (leaf.split[SPLIT.gain] === 0) this.#histograms.release(leaf);
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
}
