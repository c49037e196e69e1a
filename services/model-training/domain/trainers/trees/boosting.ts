import { isInSet, LEAF, NO_SET } from "shared/onnx/tree_ensemble.ts";
import type { Vocabularies } from "../../encoding.ts";
import { Random } from "../../random.ts";
import {
  type BinMemory,
  binMemory,
  type BinnedRows,
  binRows,
  findBinning,
  MISSING_BIN,
  type ThresholdMemory,
  thresholdMemory,
} from "./binning.ts";
import type { BinnedTree } from "./growth/binned_tree.ts";
import { type GrowthMemory, growthMemory } from "./growth/growth_memory.ts";
import { type GrownLeaf, type GrowthRules, TreeGrower } from "./growth/tree_grower.ts";
import { type Grid, gridOf, pack } from "./histogram.ts";
import type { Labelled, Objective } from "./objective.ts";
import { shrink, valueWithin } from "./split_finder.ts";
import type { Team } from "./team.ts";

/** Rows to learn from or to watch, in shared memory. */
export interface TreeRows extends Labelled {
  rows: number;
  /** As `encodeColumns()` gives them. */
  columns: readonly Float32Array[];
}

export interface BoostingRules extends Omit<GrowthRules, "monotone"> {
  /** By feature: 1, -1 or 0; null where none has a direction. */
  monotone: Int8Array | null;
  rounds: number;
  /** What the leaves' values are multiplied with. */
  learningRate: number;
  /** Whether later trees learn what earlier ones have left over; else each learns for itself. */
  isBoosted: boolean;
  rowFraction: number;
  featureFraction: number;
  maxBins: number;
  /** 0: never. */
  earlyStoppingRounds: number;
  seed: number;
}

/** All that a fit needs, the same for each member of the team. */
export interface BoostingTask {
  train: TreeRows;
  validation: TreeRows | null;
  /** Scores of a row. */
  classes: number;
  /** That `pinball` aims at. */
  quantile?: number | undefined;
  vocabularies: Vocabularies;
  rules: BoostingRules;
  /** Whether anyone wants to know the training loss, which costs a pass over the rows. */
  isWatched: boolean;
}

/** What the members share beside the rows themselves. */
export interface BoostingMemory {
  thresholds: ThresholdMemory;
  bins: BinMemory;
  validationBins: BinMemory;
  growth: GrowthMemory;
  scores: Float64Array;
  validationScores: Float64Array;
  gradients: Float32Array;
  hessians: Float32Array;
  packed: Float64Array;
  /** Sums over blocks of rows: of gradients and hessians, or of losses. */
  blocks: Float64Array;
  /** Values of a tree's leaves. */
  values: Float64Array;
  /** The next leaf that no member has taken. */
  next: Int32Array;
}

export interface BoostedTrees {
  base: Float64Array;
  /** Round after round, in each of them one a class. */
  trees: readonly BinnedTree[];
  rounds: number;
}

export interface RoundReport {
  round: number;
  trainingLoss?: number;
  validationLoss?: number;
}

/** Rows whose sums are added up in one go, in an order that no number of threads changes. */
const BLOCK_ROWS = 4_096;
const blocksOf = (rows: number) => Math.ceil(rows / BLOCK_ROWS);

export function boostingMemory(task: BoostingTask, members: number): BoostingMemory {
  const { train, validation, classes, rules } = task;
  const features = train.columns.length;
  const watched = validation?.rows ?? 0;
  const doubles = (length: number) => new Float64Array(new SharedArrayBuffer(8 * length));
  const floats = (length: number) => new Float32Array(new SharedArrayBuffer(4 * length));
  return {
    thresholds: thresholdMemory(features),
    bins: binMemory(train.rows, features),
    validationBins: binMemory(watched, watched === 0 ? 0 : features),
    growth: growthMemory({ rows: train.rows, features }, rules, members),
    scores: doubles(train.rows * classes),
    validationScores: doubles(watched * classes),
    gradients: floats(train.rows * classes),
    hessians: floats(train.rows * classes),
    packed: doubles(train.rows),
    blocks: doubles(2 * blocksOf(Math.max(train.rows, watched))),
    values: doubles(rules.maxLeaves),
    next: new Int32Array(new SharedArrayBuffer(4)),
  };
}

/**
 * Grows the trees, as one member of a team: all call it with the same task and memory, and get the same trees.
 *
 * @param context.onRound told of about a hundred rounds
 */
export function boost(
  task: BoostingTask,
  objective: Objective,
  context: { memory: BoostingMemory; team: Team; onRound?: (report: RoundReport) => void },
): BoostedTrees {
  const booster = new Booster(task, objective, context);
  return booster.run(context.onRound);
}

class Booster {
  readonly #task: BoostingTask;
  readonly #objective: Objective;
  readonly #memory: BoostingMemory;
  readonly #team: Team;
  readonly #binned: BinnedRows;
  readonly #watched: BinnedRows | null;
  readonly #grower: TreeGrower;
  readonly #random: Random;

  constructor(
    task: BoostingTask,
    objective: Objective,
    { memory, team }: { memory: BoostingMemory; team: Team },
  ) {
    const { train, validation, vocabularies, rules } = task;
    this.#task = task;
    this.#objective = objective;
    this.#memory = memory;
    this.#team = team;
    const columns = findBinning({ ...train, vocabularies }, rules, { memory: memory.thresholds, team });
    this.#binned = binRows(train, columns, { memory: memory.bins, team });
    this.#watched = validation && binRows(validation, columns, { memory: memory.validationBins, team });
    team.barrier();
    const { monotone } = rules;
    const growthRules: GrowthRules = {
      ...rules,
      monotone: monotone && Int8Array.from(columns, ({ feature }) => monotone[feature]!),
    };
    this.#grower = new TreeGrower(this.#binned, growthRules, { memory: memory.growth, team });
    this.#random = new Random(rules.seed);
  }

  run(onRound: ((report: RoundReport) => void) | undefined): BoostedTrees {
    const { train, validation, classes, rules } = this.#task;
    const { scores, validationScores } = this.#memory;
    const base = this.#objective.initialScores(train).map(Math.fround);
    this.#fill(scores, base, train.rows);
    if (validation) this.#fill(validationScores, base, validation.rows);
    this.#team.barrier();
    const trees: BinnedTree[] = [];
    let best = { round: 0, loss: validation ? this.#meanLoss(validation, validationScores) : Infinity };
    for (let round = 1; round <= rules.rounds; round++) {
      const grown = this.#growRound(round);
      // Without sampling, a round that found nothing to split will be followed by others that find nothing.
      if (this.#isDeterministic() && grown.every((tree) => tree.feature.length === 1)) break;
      trees.push(...grown);
      const report: RoundReport = { round };
      if (validation) {
        report.validationLoss = this.#meanLoss(validation, validationScores);
        if (report.validationLoss < best.loss) best = { round, loss: report.validationLoss };
      }
      if (this.#task.isWatched && isReported(round, rules.rounds)) {
        if (rules.isBoosted) report.trainingLoss = this.#meanLoss(train, scores);
        onRound?.(report);
      }
      if (validation && rules.earlyStoppingRounds > 0 && round - best.round >= rules.earlyStoppingRounds) {
        break;
      }
    }
    const kept = validation && rules.earlyStoppingRounds > 0 ? trees.slice(0, best.round * classes) : trees;
    return { base, trees: kept, rounds: kept.length / classes };
  }

  #isDeterministic(): boolean {
    const { rowFraction, featureFraction, splitFraction } = this.#task.rules;
    return rowFraction === 1 && featureFraction === 1 && splitFraction === 1;
  }

  /** A tree for each class, all learnt from the same scores. */
  #growRound(round: number): BinnedTree[] {
    const { train, classes, rules } = this.#task;
    const team = this.#team;
    if (rules.isBoosted || round === 1) this.#differentiate();
    const rows = this.#drawRows();
    const chosen = this.#drawColumns();
    return Array.from({ length: classes }, (_, number) => {
      const offset = number * train.rows;
      const grid = this.#pack(offset, round);
      this.#fillOrder(rows);
      team.barrier();
      const { tree, leaves } = this.#grower.grow({
        packed: this.#memory.packed,
        grid,
        rows: rows?.length ?? train.rows,
        chosen,
        seed: (rules.seed + Math.imul(round * classes + number, 0x9e3779b1)) >>> 0,
      });
      this.#setValues(tree, leaves, { offset, isAdded: rules.isBoosted && rows === undefined });
      if (rules.isBoosted && rows !== undefined) this.#add(tree, this.#binned, this.#memory.scores, offset);
      if (this.#watched) {
        this.#add(tree, this.#watched, this.#memory.validationScores, number * this.#watched.rows);
      }
      team.barrier();
      return tree;
    });
  }

  #fill(scores: Float64Array, base: Float64Array, rows: number): void {
    const [from, to] = this.#team.share(rows);
    base.forEach((score, number) => scores.fill(score, number * rows + from, number * rows + to));
  }

  /** Calls back for this member's blocks of rows, each of which is worked on by one member alone. */
  #eachBlock(rows: number, visit: (range: { from: number; to: number }, block: number) => void): void {
    const [first, end] = this.#team.share(blocksOf(rows));
    for (let block = first; block < end; block++) {
      visit({ from: block * BLOCK_ROWS, to: Math.min(rows, (block + 1) * BLOCK_ROWS) }, block);
    }
  }

  #differentiate(): void {
    const { train } = this.#task;
    this.#eachBlock(train.rows, (range) => this.#objective.differentiate(train, this.#memory, range));
  }

  /** Packs the derivatives of one class; every member gets the same grid. */
  #pack(offset: number, round: number): Grid {
    const { rows } = this.#task.train;
    const { gradients, hessians, packed, blocks } = this.#memory;
    this.#eachBlock(rows, ({ from, to }, block) => {
      let [gradient, hessian] = [0, 0];
      for (let row = offset + from; row < offset + to; row++) {
        gradient += Math.abs(gradients[row]!);
        hessian += hessians[row]!;
      }
      blocks[2 * block] = gradient;
      blocks[2 * block + 1] = hessian;
    });
    this.#team.barrier();
    const sums = { gradients: 0, hessians: 0, rows };
    for (let block = 0; block < blocksOf(rows); block++) {
      sums.gradients += blocks[2 * block]!;
      sums.hessians += blocks[2 * block + 1]!;
    }
    const grid = gridOf(sums);
    this.#eachBlock(
      rows,
      (range) => pack(packed, { gradients, hessians, offset }, { ...range, grid, round }),
    );
    return grid;
  }

  /** The rows of a round's trees, ascending; undefined: all. Every member draws the same. */
  #drawRows(): Int32Array | undefined {
    const { train: { rows }, rules: { rowFraction } } = this.#task;
    if (rowFraction === 1) return undefined;
    return this.#random.sample(rows, Math.max(1, Math.round(rows * rowFraction)));
  }

  #drawColumns(): Uint8Array {
    const { featureFraction } = this.#task.rules;
    const columns = this.#binned.columns.length;
    if (featureFraction === 1 || columns === 0) return new Uint8Array(columns).fill(1);
    const chosen = new Uint8Array(columns);
    for (const column of this.#random.sample(columns, Math.max(1, Math.round(columns * featureFraction)))) {
      chosen[column] = 1;
    }
    return chosen;
  }

  #fillOrder(drawn: Int32Array | undefined): void {
    const { order } = this.#memory.growth;
    const [from, to] = this.#team.share(drawn?.length ?? this.#task.train.rows);
    if (drawn) order.set(drawn.subarray(from, to), from);
    else for (let row = from; row < to; row++) order[row] = row;
  }

  /**
   * Computes the leaves' values from the derivatives as they were before they were rounded, and adds them to the scores
   * of their rows. A leaf is one member's, so that its sums have one order.
   */
  #setValues(
    tree: BinnedTree,
    leaves: readonly GrownLeaf[],
    { offset, isAdded }: { offset: number; isAdded: boolean },
  ): void {
    const { rules } = this.#task;
    const { scores, values, next, growth: { order } } = this.#memory;
    Atomics.store(next, 0, 0);
    this.#team.barrier();
    for (let index = Atomics.add(next, 0, 1); index < leaves.length; index = Atomics.add(next, 0, 1)) {
      const leaf = leaves[index]!;
      const best = this.#objective.leafValue?.(this.#lacks(leaf)) ?? this.#newtonStep(leaf, offset);
      const value = Math.fround(rules.learningRate * best);
      values[index] = value;
      if (!isAdded) continue;
      for (let i = leaf.begin; i < leaf.end; i++) {
        const at = offset + order[i]!;
        scores[at] = scores[at]! + value;
      }
    }
    this.#team.barrier();
    leaves.forEach(({ node }, index) => tree.value[node] = values[index]!);
  }

  #newtonStep(leaf: GrownLeaf, offset: number): number {
    const { l1 } = this.#task.rules;
    const { gradients, hessians, growth: { order } } = this.#memory;
    let [gradient, hessian] = [0, 0];
    for (let i = leaf.begin; i < leaf.end; i++) {
      const at = offset + order[i]!;
      gradient += gradients[at]!;
      hessian += hessians[at]!;
    }
    const step = hessian + leaf.l2 === 0 ? 0 : -shrink(gradient, l1) / (hessian + leaf.l2);
    return valueWithin(step, leaf);
  }

  /** What the scores of a leaf's rows lack of their labels. */
  #lacks({ begin, end }: GrownLeaf): Float64Array {
    const { scores, growth: { order } } = this.#memory;
    const { labels } = this.#task.train;
    return Float64Array.from(order.subarray(begin, end), (row) => labels[row]! - scores[row]!);
  }

  /** Adds the tree's value of each binned row to its score. */
  #add(tree: BinnedTree, binned: BinnedRows, scores: Float64Array, offset: number): void {
    const { feature, column, bin, set, sets, missingLeft, left, right, value } = tree;
    const { byColumn, rows } = binned;
    const [from, to] = this.#team.share(rows);
    for (let row = from; row < to; row++) {
      let node = 0;
      while (feature[node]! !== LEAF) {
        const found = byColumn[column[node]!]![row]!;
        const isLeft = set[node] !== NO_SET
          ? isInSet(sets, set[node]!, found)
          : found === MISSING_BIN
          ? missingLeft[node] === 1
          : found <= bin[node]!;
        node = isLeft ? left[node]! : right[node]!;
      }
      scores[offset + row] = scores[offset + row]! + value[node]!;
    }
  }

  #meanLoss(data: TreeRows, scores: Float64Array): number {
    const { blocks } = this.#memory;
    this.#eachBlock(data.rows, (range, block) => blocks[block] = this.#objective.loss(data, scores, range));
    this.#team.barrier();
    let sum = 0;
    for (let block = 0; block < blocksOf(data.rows); block++) sum += blocks[block]!;
    this.#team.barrier();
    return sum / data.rows;
  }
}

/** About a hundred reports a fit, each of which costs a pass over the training rows. */
const isReported = (round: number, rounds: number) =>
  round === rounds || round % Math.max(1, Math.round(rounds / 100)) === 0;
