import { type BinnedRows, COLUMN_BINS } from "../binning.ts";
import { addRows, gradientOf, hessianOf } from "../histogram.ts";
import { SPLIT } from "../split_finder.ts";
import type { Team } from "../team.ts";
import type { GrowthMemory } from "./growth_memory.ts";
import type { Leaf } from "./leaf.ts";
import type { Range } from "./row_partition.ts";

/**
 * The histograms of the leaves that may be split. There may be fewer than leaves: the leaf that gains least then has to do
 * without, and is counted anew if it is split after all.
 */
export class LeafHistograms {
  readonly #binned: BinnedRows;
  readonly #memory: Pick<GrowthMemory, "order" | "histograms" | "parts">;
  readonly #team: Team;
  readonly #free: number[] = [];

  constructor(binned: BinnedRows, { memory, team }: { memory: GrowthMemory; team: Team }) {
    this.#binned = binned;
    this.#memory = memory;
    this.#team = team;
  }

  /** All of them are free again: a new tree begins. */
  reset(): void {
    this.#free.splice(0, Infinity, ...this.#memory.histograms.keys());
  }

  of({ histogram }: Leaf): Float64Array {
    return this.#memory.histograms[histogram]!;
  }

  /** Counts a leaf's rows into a histogram of its own. @param leaves those that may have to give up theirs */
  count(leaf: Leaf, packed: Float64Array, leaves: readonly Leaf[]): void {
    const team = this.#team;
    leaf.histogram = this.#take(leaves, leaf);
    const [from, to] = team.share(leaf.end - leaf.begin);
    this.addPart({ from: leaf.begin + from, to: leaf.begin + to }, packed);
    team.barrier();
    mergeParts(this.of(leaf), this.#memory.parts, this.#cells());
    team.barrier();
  }

  /** Counts rows into this member's part, which is merged with those of the others after a barrier. */
  addPart(range: Range, packed: Float64Array): void {
    const part = this.#memory.parts[this.#team.rank]!;
    part.fill(0);
    addRows(part, { binned: this.#binned, order: this.#memory.order, packed }, range);
  }

  /**
   * The children's histograms: the smaller's from the members' parts, the larger's from what is left of the parent's.
   *
   * @param parent gives its own up
   * @param isShared false: the first member has counted alone, and the parts of the others are empty
   */
  part(
    parent: Leaf,
    [smaller, larger]: readonly [Leaf, Leaf],
    { leaves, isShared }: { leaves: readonly Leaf[]; isShared: boolean },
  ): void {
    smaller.histogram = this.#take(leaves, parent);
    larger.histogram = parent.histogram;
    parent.histogram = -1;
    const { parts } = this.#memory;
    const cells = this.#cells();
    const own = this.of(smaller);
    const rest = this.of(larger);
    mergeParts(own, isShared ? parts : parts.slice(0, 1), cells);
    for (let cell = cells.from; cell < cells.to; cell++) rest[cell] = rest[cell]! - own[cell]!;
  }

  /** Sums of gradients and hessians over all rows of a leaf. */
  sum(leaf: Leaf): { gradient: number; hessian: number } {
    const histogram = this.of(leaf);
    let packed = 0;
    for (let bin = 0; bin < COLUMN_BINS; bin++) packed += histogram[bin]!;
    return { gradient: gradientOf(packed), hessian: hessianOf(packed) };
  }

  release(leaf: Leaf): void {
    if (leaf.histogram !== -1) this.#free.push(leaf.histogram);
    leaf.histogram = -1;
  }

  /** A free one, else that of the leaf that gains least. */
  #take(leaves: readonly Leaf[], keep: Leaf): number {
    const free = this.#free.pop();
    if (free !== undefined) return free;
    const holders = leaves.filter((leaf) => leaf.histogram !== -1 && leaf !== keep);
    const poorest = holders.reduce((a, b) => b.split[SPLIT.gain]! < a.split[SPLIT.gain]! ? b : a);
    const { histogram } = poorest;
    poorest.histogram = -1;
    return histogram;
  }

  /** This member's share of the cells of a histogram: those of its columns. */
  #cells(): Range {
    const [from, to] = this.#team.share(this.#binned.columns.length);
    return { from: from * COLUMN_BINS, to: to * COLUMN_BINS };
  }
}

function mergeParts(target: Float64Array, parts: readonly Float64Array[], { from, to }: Range): void {
  target.set(parts[0]!.subarray(from, to), from);
  for (const part of parts.slice(1)) {
    for (let cell = from; cell < to; cell++) target[cell] = target[cell]! + part[cell]!;
  }
}
