/**
 * Walks the trees of a file in JavaScript, and answers bit for bit as ONNX Runtime does: for small trees a call of the
 * WASM runtime costs more than the walk. It can't hang, so it runs where the request is.
 *
 * @module
 */
import type { ModelBatch, ModelShape } from "shared/onnx/model_batch.ts";
import type { ModelSummary } from "shared/onnx/reader.ts";
import { LEAF, type ReadTrees } from "shared/onnx/trees.ts";
import { logistic } from "./logistic.ts";
import { type LoadedModel, refuseOtherShape } from "./runtime.ts";
import { type Column, findTrees, type TreeFile } from "./tree_file.ts";

/** Numbers of a node that lie side by side: where its feature's key stands, its threshold's key, its first child. */
const NODE = 3;

/**
 * Most steps from roots to leaves for a row, over all trees: beyond, a run would keep other requests waiting. A thousand
 * trees of depth 12 take 12,000.
 */
const MAX_STEPS = 50_000;

/**
 * Loads a file whose graph is one ensemble of trees that are summed.
 *
 * @returns `undefined` for any other graph, other rows, or trees too deep: those are the WASM runtime's
 */
export function loadTrees(
  file: Uint8Array,
  summary: ModelSummary,
  shape: ModelShape,
): LoadedModel | undefined {
  const found = findTrees(file, summary, shape);
  if (found === undefined || mostSteps(found.trees) > MAX_STEPS) return undefined;
  const score = compile(found, shape);
  return {
    runtime: "tree-walker",
    outputWidth: 1,
    // deno-lint-ignore require-await -- what it throws is to be a rejection, as with the other runtimes
    async predict(batch) {
      refuseOtherShape(batch, shape);
      return score(batch);
    },
    unload: () => Promise.resolve(),
  };
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
const MISSING_RIGHT = 0x7f800001;
const MISSING_LEFT = -0x80000000;
const ALWAYS = 0x7fffffff;

/** The trees as numbers side by side, each tree in an order in which the second child follows the first. */
interface Layout {
  nodes: Int32Array;
  /** By node: what its leaf adds. */
  values: Float64Array;
  roots: Int32Array;
  depths: Int32Array;
}

function layOut(trees: ReadTrees, width: number): Layout {
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

/** Writes the keys of a row's columns, each for both ways of a missing value. */
type WriteKeys = (batch: ModelBatch, row: number) => void;

function keyWriter(columns: readonly Column[], keys: Int32Array, shape: ModelShape): WriteKeys {
  const width = columns.length;
  const isPlain = shape.categories === 0 && width === shape.numbers &&
    columns.every(({ index }, at) => index === at);
  const cell = new Float32Array(1);
  const cellBits = new Int32Array(cell.buffer);
  const write = (column: number, value: number, raw: number) => {
    if (value !== value) {
      keys[column] = MISSING_RIGHT;
      keys[column + width] = MISSING_LEFT;
    } else {
      const bits = value === 0 ? 0 : raw;
      // The sign turns the order of the other bits round.
      keys[column] = keys[column + width] = bits ^ ((bits >> 31) & 0x7fffffff);
    }
  };
  if (isPlain) {
    // Of the whole buffer: many batches are parts of one.
    let bits: Int32Array = new Int32Array(0);
    return ({ numbers }, row) => {
      if (bits.buffer !== numbers.buffer) {
        bits = new Int32Array(numbers.buffer, 0, Math.floor(numbers.buffer.byteLength / 4));
      }
      const from = row * width;
      const bitsFrom = numbers.byteOffset / 4 + from;
      for (let column = 0; column < width; column++) {
        write(column, numbers[from + column]!, bits[bitsFrom + column]!);
      }
    };
  }
  return ({ numbers, categories }, row) => {
    columns.forEach((column, at) => {
      cell[0] = column.from === "numbers"
        ? numbers[row * shape.numbers + column.index]!
        : column.codes.get(categories[row * shape.categories + column.index]!) ?? column.otherwise;
      write(at, cell[0], cellBits[0]!);
    });
  };
}

function compile(
  { columns, trees, base, sigmoid }: TreeFile,
  shape: ModelShape,
): (batch: ModelBatch) => Float32Array {
  const leaves = new Float64Array(trees.roots.length);
  const keys = new Int32Array(2 * columns.length);
  const writeKeys = keyWriter(columns, keys, shape);
  const walk = trees.mode.includes("BRANCH_MEMBER")
    ? walkSets(trees, columns.length, keys, leaves)
    : walkKeys(layOut(trees, columns.length), keys, leaves);
  const { double } = trees;

  /** In the order of the trees, as the runtime adds; each sum is rounded as its type is. */
  function sum(): number {
    let total = 0;
    if (double) {
      for (let tree = 0; tree < leaves.length; tree++) total += leaves[tree]!;
      return Math.fround(total + base);
    }
    for (let tree = 0; tree < leaves.length; tree++) total = Math.fround(total + leaves[tree]!);
    return Math.fround(total + base);
  }

  return (batch) => {
    const outputs = new Float32Array(batch.rows);
    for (let row = 0; row < batch.rows; row++) {
      writeKeys(batch, row);
      walk();
      const total = sum();
      outputs[row] = sigmoid ? logistic(total) : total;
    }
    return outputs;
  };
}

/** Finds the leaf of each tree for the keys of a row, without a branch on the way down. */
function walkKeys(
  { nodes, values, roots, depths }: Layout,
  keys: Int32Array,
  leaves: Float64Array,
): () => void {
  const count = roots.length;
  return () => {
    let tree = 0;
    // Four trees at a time: the processor waits for four reads at once.
    for (; tree + 3 < count; tree += 4) {
      let a = roots[tree]!;
      let b = roots[tree + 1]!;
      let c = roots[tree + 2]!;
      let d = roots[tree + 3]!;
      const depth = Math.max(depths[tree]!, depths[tree + 1]!, depths[tree + 2]!, depths[tree + 3]!);
      for (let level = 0; level < depth; level++) {
        const at = a * NODE;
        const bt = b * NODE;
        const ct = c * NODE;
        const dt = d * NODE;
        a = nodes[at + 2]! + (+(keys[nodes[at]!]! > nodes[at + 1]!));
        b = nodes[bt + 2]! + (+(keys[nodes[bt]!]! > nodes[bt + 1]!));
        c = nodes[ct + 2]! + (+(keys[nodes[ct]!]! > nodes[ct + 1]!));
        d = nodes[dt + 2]! + (+(keys[nodes[dt]!]! > nodes[dt + 1]!));
      }
      leaves[tree] = values[a]!;
      leaves[tree + 1] = values[b]!;
      leaves[tree + 2] = values[c]!;
      leaves[tree + 3] = values[d]!;
    }
    for (; tree < count; tree++) {
      let a = roots[tree]!;
      for (let level = depths[tree]!; level > 0; level--) {
        const at = a * NODE;
        a = nodes[at + 2]! + (+(keys[nodes[at]!]! > nodes[at + 1]!));
      }
      leaves[tree] = values[a]!;
    }
  };
}

/** The same for trees that also ask for sets of categories, node by node. */
function walkSets(trees: ReadTrees, width: number, keys: Int32Array, leaves: Float64Array): () => void {
  const { roots, feature, missingTrue, whenTrue, whenFalse } = trees;
  const thresholds = Int32Array.from(trees.threshold, (value) => keyOf(floor32(value)));
  const sets = Array.from(feature, (_, node) => {
    const members = trees.members.get(node);
    return members && new Set(members.map((member) => keyOf(Math.fround(member))));
  });
  const values = new Float64Array(feature.length);
  trees.weights.node.forEach((node, index) => values[node] = trees.weights.value[index]!);
  const ask = Int32Array.from(feature, (id, node) => missingTrue[node] ? id + width : id);
  return () => {
    for (let tree = 0; tree < roots.length; tree++) {
      let node = roots[tree]!;
      while (feature[node] !== LEAF) {
        const set = sets[node];
        const isTrue = set === undefined
          ? keys[ask[node]!]! <= thresholds[node]!
          : set.has(keys[feature[node]!]!);
        node = isTrue ? whenTrue[node]! : whenFalse[node]!;
      }
      leaves[tree] = values[node]!;
    }
  };
}
