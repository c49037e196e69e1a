/**
 * Walks the trees of a file in JavaScript, and answers bit for bit as ONNX Runtime does: for small trees a call of the
 * WASM runtime costs more than the walk. It can't hang, so it runs where the request is.
 *
 * @module
 */
import type { ModelBatch, ModelShape } from "shared/onnx/model_batch.ts";
import { LEAF } from "shared/onnx/trees.ts";
import { logistic } from "./logistic.ts";
import { type LoadedModel, refuseOtherShape } from "./runtime.ts";
import type { Column } from "./tree_file.ts";
import {
  type KeyLayout,
  MISSING_LEFT,
  MISSING_RIGHT,
  NO_SET,
  NODE,
  type SetLayout,
  type TreeProgram,
} from "./tree_program.ts";

/** Rows that are walked side by side: the processor waits for so many reads at once. */
const LANES = 4;
/** Keys of rows that go through a tree together: as many as stay near the processor, with the tree. */
const KEYS_AT_ONCE = 8_192;

export function loadTrees(program: TreeProgram, shape: ModelShape): LoadedModel {
  const score = walkTrees(program, shape);
  const predictNow = (batch: ModelBatch): Float32Array => {
    refuseOtherShape(batch, shape);
    return score(batch);
  };
  return {
    runtime: "tree-walker",
    outputWidth: 1,
    predict: (batch) => Promise.try(predictNow, batch),
    predictNow,
    unload: () => Promise.resolve(),
  };
}

/** Writes the keys of a row's columns from a place on, each for both ways of a missing value. */
type WriteKeys = (batch: ModelBatch, row: number, at: number) => void;

function keyWriter(columns: readonly Column[], keys: Int32Array, shape: ModelShape): WriteKeys {
  const width = columns.length;
  const isPlain = shape.categories === 0 && width === shape.numbers &&
    columns.every(({ index }, at) => index === at);
  const cell = new Float32Array(1);
  const cellBits = new Int32Array(cell.buffer);
  const write = (at: number, value: number, raw: number) => {
    if (value !== value) {
      keys[at] = MISSING_RIGHT;
      keys[at + width] = MISSING_LEFT;
    } else {
      const bits = value === 0 ? 0 : raw;
      // The sign turns the order of the other bits round.
      keys[at] = keys[at + width] = bits ^ ((bits >> 31) & 0x7fffffff);
    }
  };
  if (isPlain) {
    // Of the whole buffer: many batches are parts of one.
    let bits: Int32Array = new Int32Array(0);
    return ({ numbers }, row, at) => {
      if (bits.buffer !== numbers.buffer) {
        bits = new Int32Array(numbers.buffer, 0, Math.floor(numbers.buffer.byteLength / 4));
      }
      const from = row * width;
      const bitsFrom = numbers.byteOffset / 4 + from;
      for (let column = 0; column < width; column++) {
        write(at + column, numbers[from + column]!, bits[bitsFrom + column]!);
      }
    };
  }
  return ({ numbers, categories }, row, at) => {
    columns.forEach((column, index) => {
      cell[0] = column.from === "numbers"
        ? numbers[row * shape.numbers + column.index]!
        : column.codes.get(categories[row * shape.categories + column.index]!) ?? column.otherwise;
      write(at + index, cell[0], cellBits[0]!);
    });
  };
}

/** @returns one value for each row */
export function walkTrees(
  { columns, layout, base, sigmoid, double }: TreeProgram,
  shape: ModelShape,
): (batch: ModelBatch) => Float32Array {
  const leaves = new Float64Array(layout.roots.length);
  const keysOfRow = 2 * columns.length;
  // Where there are none, the trees are leaves.
  const together = Math.floor(KEYS_AT_ONCE / Math.max(1, LANES * keysOfRow)) * LANES;
  const keys = new Int32Array(Math.max(1, together) * keysOfRow);
  const totals = new Float64Array(together);
  const writeKeys = keyWriter(columns, keys, shape);
  const walk = "nodes" in layout ? walkKeys(layout, keys, leaves) : walkSets(layout, keys, leaves);
  const walkTogether = "nodes" in layout ? walkRows(layout, { keys, keysOfRow, totals, double }) : undefined;

  /** In the order of the trees, as the runtime adds; each sum is rounded as its type is. */
  function sum(): number {
    let total = 0;
    if (double) {
      for (let tree = 0; tree < leaves.length; tree++) total += leaves[tree]!;
      return total;
    }
    for (let tree = 0; tree < leaves.length; tree++) total = Math.fround(total + leaves[tree]!);
    return total;
  }

  function answer(total: number): number {
    const output = Math.fround(total + base);
    return sigmoid ? logistic(output) : output;
  }

  return (batch) => {
    const outputs = new Float32Array(batch.rows);
    let from = 0;
    if (walkTogether !== undefined) {
      for (let left = batch.rows; left >= LANES; left = batch.rows - from) {
        const rows = Math.min(together, left - left % LANES);
        for (let row = 0; row < rows; row++) writeKeys(batch, from + row, row * keysOfRow);
        walkTogether(rows);
        for (let row = 0; row < rows; row++) outputs[from + row] = answer(totals[row]!);
        from += rows;
      }
    }
    for (let row = from; row < batch.rows; row++) {
      writeKeys(batch, row, 0);
      walk();
      outputs[row] = answer(sum());
    }
    return outputs;
  };
}

/**
 * Adds up the leaves of rows, tree by tree: a tree is near the processor for all of them, and each sum has the order of
 * the trees, as the runtime has it. Their number is a multiple of {@link LANES}.
 */
function walkRows(
  { nodes, values, roots, depths }: KeyLayout,
  { keys, keysOfRow, totals, double }: {
    keys: Int32Array;
    keysOfRow: number;
    totals: Float64Array;
    double: boolean;
  },
): (rows: number) => void {
  const add = (row: number, leaf: number) => {
    const total = totals[row]! + leaf;
    totals[row] = double ? total : Math.fround(total);
  };
  return (rows) => {
    totals.fill(0, 0, rows);
    for (let tree = 0; tree < roots.length; tree++) {
      const root = roots[tree]! * NODE;
      const depth = depths[tree]!;
      const asked = nodes[root]!;
      const threshold = nodes[root + 1]!;
      const below = nodes[root + 2]!;
      for (let row = 0; row < rows; row += LANES) {
        const keysOfA = row * keysOfRow;
        const keysOfB = keysOfA + keysOfRow;
        const keysOfC = keysOfB + keysOfRow;
        const keysOfD = keysOfC + keysOfRow;
        // A root that is a leaf is left to itself, as any other.
        let a = below + (+(keys[keysOfA + asked]! > threshold));
        let b = below + (+(keys[keysOfB + asked]! > threshold));
        let c = below + (+(keys[keysOfC + asked]! > threshold));
        let d = below + (+(keys[keysOfD + asked]! > threshold));
        for (let level = 1; level < depth; level++) {
          const at = a * NODE;
          const bt = b * NODE;
          const ct = c * NODE;
          const dt = d * NODE;
          a = nodes[at + 2]! + (+(keys[keysOfA + nodes[at]!]! > nodes[at + 1]!));
          b = nodes[bt + 2]! + (+(keys[keysOfB + nodes[bt]!]! > nodes[bt + 1]!));
          c = nodes[ct + 2]! + (+(keys[keysOfC + nodes[ct]!]! > nodes[ct + 1]!));
          d = nodes[dt + 2]! + (+(keys[keysOfD + nodes[dt]!]! > nodes[dt + 1]!));
        }
        add(row, values[a]!);
        add(row + 1, values[b]!);
        add(row + 2, values[c]!);
        add(row + 3, values[d]!);
      }
    }
  };
}

/** Finds the leaf of each tree for the keys of a row, without a branch on the way down. */
function walkKeys(
  { nodes, values, roots, depths }: KeyLayout,
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
function walkSets(
  { roots, ask, thresholds, setFrom, setTo, members, whenTrue, whenFalse, values }: SetLayout,
  keys: Int32Array,
  leaves: Float64Array,
): () => void {
  /** The members of a set are ascending. */
  function isMember(node: number, key: number): boolean {
    let from = setFrom[node]!;
    let to = setTo[node]!;
    while (from < to) {
      const middle = (from + to) >> 1;
      if (members[middle]! < key) from = middle + 1;
      else to = middle;
    }
    return from < setTo[node]! && members[from] === key;
  }

  return () => {
    for (let tree = 0; tree < roots.length; tree++) {
      let node = roots[tree]!;
      for (let asked = ask[node]!; asked !== LEAF; asked = ask[node]!) {
        const key = keys[asked]!;
        const isTrue = setFrom[node] === NO_SET ? key <= thresholds[node]! : isMember(node, key);
        node = isTrue ? whenTrue[node]! : whenFalse[node]!;
      }
      leaves[tree] = values[node]!;
    }
  };
}
