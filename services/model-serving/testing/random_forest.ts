/** Random trees as files, in each of the ways in which they are written. @module */
import type { Attribute, Node, Tensor } from "shared/onnx/model_proto.ts";
import { LEAF, NO_SET, SET_WORDS, type Tree, treeEnsembleNode } from "shared/onnx/tree_ensemble.ts";
import { encodeModel } from "shared/onnx/writer.ts";

export interface ForestOptions {
  trees: number;
  depth: number;
  numbers: number;
  /** Columns of texts, which follow the numbers; only for `TreeEnsemble`. Default 0. */
  categories?: number;
  precision: "float" | "double";
  sigmoid: boolean;
  /** `TreeEnsemble` as the platform writes it, or `TreeEnsembleRegressor` as converters do. Default the first. */
  operator?: "TreeEnsemble" | "TreeEnsembleRegressor";
  seed: number;
  metadata?: Readonly<Record<string, string>>;
}

export interface Forest {
  file: Uint8Array<ArrayBuffer>;
  /** For values that hit one exactly. */
  thresholds: readonly number[];
  /** Uniform in [0, 1), from the seed. */
  random: () => number;
}

export const VOCABULARY = ["a", "b", "c", "d"] as const;

/** Numerical Recipes' linear congruential generator: good enough for shapes of trees. */
export function seededRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}

export function randomForest(options: ForestOptions): Forest {
  const { categories = 0, numbers, precision, sigmoid, operator = "TreeEnsemble", seed, metadata = {} } =
    options;
  const random = seededRandom(seed);
  const real = () => random() < 0.1 ? 0 : random() * 2 - 1;
  const trees = Array.from({ length: options.trees }, () => randomTree(options, random, real));
  const base = precision === "float" ? Math.fround(real()) : real();
  const baseTensor: Tensor = precision === "float"
    ? { name: "base", type: "float", dims: [1], data: Float32Array.of(base) }
    : { name: "base", type: "double", dims: [1], data: Float64Array.of(base) };
  const columns = precision === "double" ? "precise" : "columns";
  const link = sigmoid ? { op: "Sigmoid", inputs: ["total"], outputs: ["scores"] } : undefined;
  const scored = link ? "scores" : precision === "double" ? "narrow" : "total";
  const nodes: Node[] = [
    ...encodingNodes(numbers, categories),
    ...(precision === "double" ? [cast("columns", "precise", 11)] : []),
    ...(operator === "TreeEnsemble"
      ? [
        treeEnsembleNode({ trees: trees.map((tree) => ({ tree, target: 0 })), targets: 1, precision }, {
          input: columns,
          output: "sum",
        }),
        { op: "Add", inputs: ["sum", "base"], outputs: ["total"] },
      ]
      : [regressorNode(trees, base, precision, columns)]),
    ...(link ? [link] : []),
    // The older operator answers in float32 whatever its features are.
    ...(precision === "double" && operator === "TreeEnsemble" ? [cast("total", "narrow", 1)] : []),
    {
      op: "Reshape",
      inputs: [operator === "TreeEnsembleRegressor" && !link ? "total" : scored, "flat"],
      outputs: ["value"],
    },
  ];
  const file = encodeModel({
    irVersion: 10,
    producerName: "test",
    opsets: { "ai.onnx": 17, "ai.onnx.ml": operator === "TreeEnsemble" ? 5 : 3 },
    metadata,
    graph: {
      name: "forest",
      nodes,
      initializers: [
        { name: "flat", type: "int64", dims: [1], data: BigInt64Array.of(-1n) },
        ...(categories > 0 ? places(numbers, categories) : []),
        ...(operator === "TreeEnsemble" ? [baseTensor] : []),
      ],
      inputs: [
        ...(numbers > 0 ? [{ name: "features", type: "float" as const, dims: ["rows", numbers] }] : []),
        ...(categories > 0
          ? [{ name: "categories", type: "string" as const, dims: ["rows", categories] }]
          : []),
      ],
      outputs: [{ name: "value", type: "float", dims: ["rows"] }],
    },
  });
  return { file, thresholds: trees.flatMap(({ threshold }) => [...threshold]), random };
}

const cast = (from: string, to: string, type: number): Node => ({
  op: "Cast",
  inputs: [from],
  outputs: [to],
  attributes: { to: { int: type } },
});

/** Of each column, which one of its input it is. */
const places = (numbers: number, categories: number) =>
  Array.from({ length: numbers + categories }, (_, at): Tensor => ({
    name: `at_${at}`,
    type: "int64",
    dims: [1],
    data: BigInt64Array.of(BigInt(at < numbers ? at : at - numbers)),
  }));

function encodingNodes(numbers: number, categories: number): Node[] {
  if (categories === 0) return [{ op: "Identity", inputs: ["features"], outputs: ["columns"] }];
  const parts = Array.from({ length: numbers + categories }, (_, at) => `part_${at}`);
  const nodes = parts.flatMap((part, at): Node[] => {
    const axis = { axis: { int: 1 } };
    if (at < numbers) {
      return [{ op: "Gather", inputs: ["features", `at_${at}`], outputs: [part], attributes: axis }];
    }
    return [
      { op: "Gather", inputs: ["categories", `at_${at}`], outputs: [`text_${at}`], attributes: axis },
      {
        op: "LabelEncoder",
        domain: "ai.onnx.ml",
        inputs: [`text_${at}`],
        outputs: [part],
        attributes: {
          "keys_strings": { strings: ["", ...VOCABULARY] },
          "values_floats": { floats: ["", ...VOCABULARY].map((_, code) => code) },
          "default_float": { float: VOCABULARY.length + 1 },
        },
      },
    ];
  });
  return [...nodes, {
    op: "Concat",
    inputs: parts,
    outputs: ["columns"],
    attributes: { axis: { int: 1 } },
  }];
}

function randomTree(
  { depth, numbers, categories = 0, precision }: ForestOptions,
  random: () => number,
  real: () => number,
): Tree {
  const feature: number[] = [];
  const threshold: number[] = [];
  const set: number[] = [];
  const sets: number[] = [];
  const missingLeft: number[] = [];
  const left: number[] = [];
  const right: number[] = [];
  const value: number[] = [];
  const number = () => precision === "float" ? Math.fround(real()) : real();
  const grow = (level: number): number => {
    const at = feature.length;
    const isLeaf = level === 0 || random() < 0.1;
    feature.push(isLeaf ? LEAF : Math.floor(random() * (numbers + categories)));
    threshold.push(isLeaf ? 0 : number());
    set.push(NO_SET);
    missingLeft.push(random() < 0.5 ? 1 : 0);
    left.push(0);
    right.push(0);
    value.push(isLeaf ? number() : 0);
    if (isLeaf) return at;
    if (feature[at]! >= numbers) {
      set[at] = sets.length;
      sets.push(1 + Math.floor(random() * 62), ...new Array<number>(SET_WORDS - 1).fill(0));
    }
    left[at] = grow(level - 1);
    right[at] = grow(level - 1);
    return at;
  };
  grow(depth);
  return {
    feature: Int32Array.from(feature),
    threshold: Float64Array.from(threshold),
    set: Int32Array.from(set),
    sets: Uint32Array.from(sets),
    missingLeft: Uint8Array.from(missingLeft),
    left: Int32Array.from(left),
    right: Int32Array.from(right),
    value: Float64Array.from(value),
    cover: new Float64Array(feature.length),
  };
}

function regressorNode(
  trees: readonly Tree[],
  base: number,
  precision: "float" | "double",
  input: string,
): Node {
  const all = trees.flatMap((tree, treeId) =>
    Array.from(tree.feature, (feature, node) => ({ tree, treeId, feature, node, isLeaf: feature === LEAF }))
  );
  const leaves = all.filter(({ isLeaf }) => isLeaf);
  const reals = (name: string, values: readonly number[]): Record<string, Attribute> =>
    precision === "float" ? { [name]: { floats: values } } : {
      [`${name}_as_tensor`]: {
        tensor: { name: "", dims: [values.length], type: "double", data: Float64Array.from(values) },
      },
    };
  return {
    op: "TreeEnsembleRegressor",
    domain: "ai.onnx.ml",
    inputs: [input],
    outputs: ["total"],
    attributes: {
      "n_targets": { int: 1 },
      "nodes_treeids": { ints: all.map(({ treeId }) => treeId) },
      "nodes_nodeids": { ints: all.map(({ node }) => node) },
      "nodes_featureids": { ints: all.map(({ feature }) => Math.max(0, feature)) },
      ...reals("nodes_values", all.map(({ tree, node }) => tree.threshold[node]!)),
      "nodes_modes": { strings: all.map(({ isLeaf }) => isLeaf ? "LEAF" : "BRANCH_LEQ") },
      "nodes_truenodeids": { ints: all.map(({ tree, node }) => tree.left[node]!) },
      "nodes_falsenodeids": { ints: all.map(({ tree, node }) => tree.right[node]!) },
      "nodes_missing_value_tracks_true": { ints: all.map(({ tree, node }) => tree.missingLeft[node]!) },
      "target_ids": { ints: leaves.map(() => 0) },
      "target_treeids": { ints: leaves.map(({ treeId }) => treeId) },
      "target_nodeids": { ints: leaves.map(({ node }) => node) },
      ...reals("target_weights", leaves.map(({ tree, node }) => tree.value[node]!)),
      ...reals("base_values", [base]),
    },
  };
}
