import { isInSet } from "shared/onnx/tree_ensemble.ts";
import { type BinnedRows, MISSING_BIN } from "../binning.ts";
import { SPLIT } from "../split_finder.ts";
import type { Team } from "../team.ts";
import type { GrowthMemory } from "./growth_memory.ts";
import type { Leaf } from "./leaf.ts";

/** Places in the order of the rows: [from, to). */
export interface Range {
  from: number;
  to: number;
}

/** Where the rows of a leaf are that has been split. */
export interface Parted {
  /** Where the right side begins. */
  middle: number;
  /** The rows that this member has moved. */
  left: Range;
  right: Range;
}

/** Moves the rows of a leaf that go left to its front. */
export class RowPartition {
  readonly #binned: BinnedRows;
  readonly #memory: Pick<GrowthMemory, "order" | "spare" | "counts">;
  readonly #team: Team;

  constructor(binned: BinnedRows, { memory, team }: { memory: GrowthMemory; team: Team }) {
    this.#binned = binned;
    this.#memory = memory;
    this.#team = team;
  }

  /**
   * Keeps the order of the rows on both sides, so that the parts do not depend on the number of members. The others' rows
   * are in their places after the next barrier.
   *
   * @param isShared false: the first member does it alone
   */
  part(leaf: Leaf, isShared: boolean): Parted {
    const team = this.#team;
    const { counts } = this.#memory;
    const rows = leaf.end - leaf.begin;
    const [from, to] = isShared ? team.share(rows) : team.rank === 0 ? [0, rows] : [0, 0];
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
    this.#putBack({ begin, end, left, toLeft, toRight });
    return {
      middle,
      left: { from: toLeft, to: toLeft + left },
      right: { from: toRight, to: toRight + end - begin - left },
    };
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
}
