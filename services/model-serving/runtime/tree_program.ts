/** Trees of a file, laid out for a walk: plain lists of numbers, which move between threads at no cost. Pure. @module */
import type { AdmittedModel } from "shared/onnx/admission.ts";
import type { ModelShape } from "shared/onnx/model_batch.ts";
import { LEAF, type ReadTrees } from "shared/onnx/trees.ts";
import { type Column, findTrees } from "./tree_file.ts";

/** What a walk goes by. */
export interface TreeProgram {
  readonly columns: readonly Column[];
  /** Added to the sum of the leaves. */
  readonly base: number;
  readonly sigmoid: boolean;
  /** Whether sums are float64. */
  readonly double: boolean;
  readonly layout: KeyLayout | SetLayout;
}

/** Numbers of a node that lie side by side: where its feature's key stands, its threshold's key, its first child. */
export const NODE = 3;

/** Each tree in an order in which the second child follows the first. */
export interface KeyLayout {
  readonly nodes: Int32Array;
  /** By node: what its leaf adds. */
  readonly values: Float64Array;
  readonly roots: Int32Array;
  readonly depths: Int32Array;
}

/** Trees that also ask for sets of categories, node by node. */
export interface SetLayout {
  readonly roots: Int32Array;
  /** Where the key stands that a node asks about; {@link LEAF} for a leaf. */
  readonly ask: Int32Array;
  readonly thresholds: Int32Array;
  /** Where the members begin that a node looks for, and where they end; before the first for one that looks for none. */
  readonly setFrom: Int32Array;
  readonly setTo: Int32Array;
  /** Keys, of each set ascending. */
  readonly members: Int32Array;
  readonly whenTrue: Int32Array;
  readonly whenFalse: Int32Array;
  readonly values: Float64Array;
}

/**
 * Most steps from roots to leaves for a row, over all trees: beyond, a run would keep other requests waiting. A thousand
 * trees of depth 12 take 12,000.
 */
const MAX_STEPS = 50_000;

/**
 * Lays out a graph of one ensemble of trees that are summed.
 *
 * @returns `undefined` for any other graph, other rows, or trees too deep: those are the WASM runtime's
 */
export function compileTrees(model: AdmittedModel, shape: ModelShape): TreeProgram | undefined {
  const found = findTrees(model, shape);
  if (found === undefined || mostSteps(found.trees) > MAX_STEPS) return undefined;
  const { columns, trees, base, sigmoid } = found;
  const layout = trees.mode.includes("BRANCH_MEMBER")
    ? layOutSets(trees, columns.length)
    : layOut(trees, columns.length);
  return { columns, base, sigmoid, double: trees.double, layout };
}

/** Steps of a row that goes the longest way in each tree. */
function mostSteps({ roots, feature, whenTrue, whenFalse }: ReadTrees): number {
  let steps = 0;
  for (const root of roots) {
    for (let level = [root]; level.length > 0; steps++) {
      level = level.flatMap((node) => feature[node] === LEAF ? [] : [whenTrue[node]!, whenFalse[node]!]);
    }
  }
  return steps;
}

const scratch = new DataView(new ArrayBuffer(4));

/** The bits of a float32 as an integer of the same order; both zeros are one. */
function keyOf(value: number): number {
  scratch.setFloat32(0, value + 0);
  const bits = scratch.getInt32(0);
  return bits < 0 ? bits ^ 0x7fffffff : bits;
}

/** The largest float32 that is not above a float64: features are float32, so that it decides alike. */
function floor32(value: number): number {
  const rounded = Math.fround(value);
  if (rounded <= value) return rounded;
  scratch.setFloat32(0, rounded);
  const bits = scratch.getInt32(0);
  // One step towards minus infinity.
  scratch.setInt32(0, rounded > 0 ? bits - 1 : rounded < 0 ? bits + 1 : -0x7fffffff);
  return scratch.getFloat32(0);
}

/** Above the keys of all numbers, infinity included; leaves are left to themselves by a key above that. */
export const MISSING_RIGHT = 0x7f800001;
export const MISSING_LEFT = -0x80000000;
const ALWAYS = 0x7fffffff;
export const NO_SET = -1;

function layOut(trees: ReadTrees, width: number): KeyLayout {
  const weight = new Map([...trees.weights.node].map((node, index) => [node, trees.weights.value[index]!]));
  const nodes: number[] = [];
  const values: number[] = [];
  const roots: number[] = [];
  const depths: number[] = [];
  for (const root of trees.roots) {
    roots.push(values.length);
    let level = [{ from: root, to: values.length }];
    let depth = 0;
    values.push(0);
    for (; level.length > 0; depth++) {
      const below: typeof level = [];
      for (const { from, to } of level) {
        const at = to * NODE;
        const feature = trees.feature[from]!;
        if (feature === LEAF) {
          nodes[at] = 0;
          nodes[at + 1] = ALWAYS;
          nodes[at + 2] = to;
          values[to] = weight.get(from) ?? 0;
          continue;
        }
        const first = values.length;
        values.push(0, 0);
        // A missing value has two keys, one for each way; a node looks at the one of its way.
        nodes[at] = trees.missingTrue[from] ? feature + width : feature;
        nodes[at + 1] = keyOf(floor32(trees.threshold[from]!));
        nodes[at + 2] = first;
        below.push({ from: trees.whenTrue[from]!, to: first }, {
          from: trees.whenFalse[from]!,
          to: first + 1,
        });
      }
      level = below;
    }
    depths.push(depth - 1);
  }
  return {
    nodes: Int32Array.from(nodes),
    values: Float64Array.from(values),
    roots: Int32Array.from(roots),
    depths: Int32Array.from(depths),
  };
}

function layOutSets(trees: ReadTrees, width: number): SetLayout {
  const { roots, feature, missingTrue, whenTrue, whenFalse, weights } = trees;
  const values = new Float64Array(feature.length);
  weights.node.forEach((node, index) => values[node] = weights.value[index]!);
  const setFrom = new Int32Array(feature.length).fill(NO_SET);
  const setTo = setFrom.slice();
  const members: number[] = [];
  for (const [node, set] of trees.members) {
    setFrom[node] = members.length;
    for (const key of Int32Array.from(set, (member) => keyOf(Math.fround(member))).sort()) members.push(key);
    setTo[node] = members.length;
  }
  return {
    roots,
    // A set holds no missing value, whichever of its two keys is looked for.
    ask: Int32Array.from(feature, (id, node) => id !== LEAF && missingTrue[node] ? id + width : id),
    thresholds: Int32Array.from(trees.threshold, (value) => keyOf(floor32(value))),
    setFrom,
    setTo,
    members: Int32Array.from(members),
    whenTrue,
    whenFalse,
    values,
  };
}
