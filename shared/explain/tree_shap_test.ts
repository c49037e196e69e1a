import { assertAlmostEquals, assertEquals } from "@std/assert";
import fc from "fast-check";
import type { TreeMode } from "../onnx/trees.ts";
import { addTreeShap, expectedValues, type ExplainableTrees, goesTrue } from "./tree_shap.ts";

const FEATURES = 4;

/** A random tree of full depth over few features, so that ways ask for the same feature more than once. */
const tree = fc.integer({ min: 1, max: 4 }).chain((depth) => {
  const asking = 2 ** depth - 1;
  return fc.record({
    features: fc.array(fc.nat(FEATURES - 1), { minLength: asking, maxLength: asking }),
    thresholds: fc.array(fc.integer({ min: -2, max: 2 }), { minLength: asking, maxLength: asking }),
    isSet: fc.array(fc.boolean(), { minLength: asking, maxLength: asking }),
    missingTrue: fc.array(fc.nat(1), { minLength: asking, maxLength: asking }),
    shares: fc.array(fc.constantFrom(0.1, 0.25, 0.5, 0.9), { minLength: asking, maxLength: asking }),
    values: fc.array(fc.integer({ min: -9, max: 9 }), { minLength: asking + 1, maxLength: asking + 1 }),
  });
});

/** Children of node i are 2i + 1 and 2i + 2; the nodes after the asking ones are leaves. */
function toTrees(drawn: {
  features: number[];
  thresholds: number[];
  isSet: boolean[];
  missingTrue: number[];
  shares: number[];
  values: number[];
}): ExplainableTrees {
  const asking = drawn.features.length;
  const leaves = drawn.values.map(() => 0);
  const children = (offset: number) =>
    Int32Array.from(
      { length: asking + leaves.length },
      (_, node) => node < asking ? 2 * node + offset : node,
    );
  return {
    roots: Int32Array.of(0),
    feature: Int32Array.from([...drawn.features, ...leaves.map(() => -1)]),
    threshold: Float64Array.from([...drawn.thresholds, ...leaves]),
    mode: [
      ...drawn.isSet.map((isSet): TreeMode => isSet ? "BRANCH_MEMBER" : "BRANCH_LEQ"),
      ...leaves.map((): TreeMode => "LEAF"),
    ],
    members: new Map(
      drawn.isSet.flatMap((isSet, node) => isSet ? [[node, [0, drawn.thresholds[node]!]]] : []),
    ),
    missingTrue: Uint8Array.from([...drawn.missingTrue, ...leaves]),
    whenTrue: children(1),
    whenFalse: children(2),
    weights: {
      node: Int32Array.from(leaves, (_, leaf) => asking + leaf),
      target: new Int32Array(leaves.length),
      value: Float64Array.from(drawn.values),
    },
    base: new Float64Array(0),
    targets: 1,
    aggregate: "SUM",
    postTransform: "NONE",
    double: true,
    trueShares: drawn.shares,
  };
}

/** What the tree answers when only some features are known: the others send the row both ways. */
function answer(trees: ExplainableTrees, row: number[], known: ReadonlySet<number>, node = 0): number {
  const asking = trees.trueShares.length;
  if (node >= asking) return trees.weights.value[node - asking]!;
  const go = (child: number) => answer(trees, row, known, child);
  const feature = trees.feature[node]!;
  if (known.has(feature)) {
    return go(goesTrue(trees, node, row[feature]!) ? trees.whenTrue[node]! : trees.whenFalse[node]!);
  }
  const share = trees.trueShares[node]!;
  return share * go(trees.whenTrue[node]!) + (1 - share) * go(trees.whenFalse[node]!);
}

const factorial = (n: number): number => n < 2 ? 1 : n * factorial(n - 1);

/** By the definition: the mean, over all orders of the features, of what a feature adds to those before it. */
function shapley(trees: ExplainableTrees, row: number[], feature: number): number {
  const others = Array.from({ length: FEATURES }, (_, other) => other).filter((other) => other !== feature);
  let sum = 0;
  for (let subset = 0; subset < 2 ** others.length; subset++) {
    const known = new Set(others.filter((_, bit) => (subset >> bit) & 1));
    const weight = factorial(known.size) * factorial(FEATURES - known.size - 1) / factorial(FEATURES);
    sum += weight * (answer(trees, row, new Set([...known, feature])) - answer(trees, row, known));
  }
  return sum;
}

const value = fc.oneof(fc.constant(NaN), fc.integer({ min: -3, max: 3 }));

Deno.test("addTreeShap() gives the Shapley values that counting all subsets gives", () => {
  fc.assert(fc.property(tree, fc.array(value, { minLength: FEATURES, maxLength: FEATURES }), (drawn, row) => {
    const trees = toTrees(drawn);
    const found = new Float64Array(FEATURES);
    addTreeShap(trees, row, found);
    found.forEach((share, feature) => assertAlmostEquals(share, shapley(trees, row, feature), 1e-9));
    const [base] = expectedValues(trees);
    const all = new Set(found.keys());
    const sum = found.reduce((total, share) => total + share, base!);
    assertAlmostEquals(sum, answer(trees, row, all), 1e-9);
    assertAlmostEquals(base!, answer(trees, row, new Set()), 1e-9);
  }));
});

Deno.test("addTreeShap() gives nothing to a feature that no tree asks for", () => {
  const trees = toTrees({
    features: [2],
    thresholds: [0],
    isSet: [false],
    missingTrue: [0],
    shares: [0.25],
    values: [4, 8],
  });
  const found = new Float64Array(FEATURES);
  addTreeShap(trees, [1, 1, -1, 1], found);
  assertEquals([...found], [0, 0, 4 - (0.25 * 4 + 0.75 * 8), 0]);
});
