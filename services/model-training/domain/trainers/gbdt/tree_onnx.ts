import type { Estimator } from "../../model_file.ts";
import { FEATURES, SCORES } from "../../model_file.ts";
import { type Attribute, ELEMENT_TYPE, type Node, type Tensor } from "shared/onnx/model_proto.ts";
import { LEAF, type Tree } from "./tree.ts";

export interface Ensemble {
  /** Added to the sum of the trees; a float32. */
  base: number;
  /** None at all: every row gets the base. */
  trees: readonly Tree[];
  /** What the sum goes through. */
  link: "identity" | "sigmoid";
}

/**
 * The nodes of a graph that scores as the ensemble does. Log odds are small, and added in float32. Values of any
 * size are added in float64: in float32, hundreds of large leaves that cancel out would leave an answer that is off
 * by more than a file's may be.
 */
export function ensembleNodes(ensemble: Ensemble): Pick<Estimator, "nodes" | "initializers"> {
  const nodes: Node[] = ensemble.link === "sigmoid"
    ? [
      treeNode(FEATURES, "log_odds", treeAttributes(ensemble, "float32")),
      { op: "Sigmoid", inputs: ["log_odds"], outputs: [SCORES] },
    ]
    : [
      {
        op: "Cast",
        inputs: [FEATURES],
        outputs: ["precise"],
        attributes: { to: { int: ELEMENT_TYPE.double } },
      },
      treeNode("precise", SCORES, treeAttributes(ensemble, "float64")),
    ];
  return { nodes, initializers: [] };
}

const treeNode = (input: string, output: string, attributes: NonNullable<Node["attributes"]>): Node => ({
  op: "TreeEnsembleRegressor",
  domain: "ai.onnx.ml",
  inputs: [input],
  outputs: [output],
  attributes,
});

/** The operator takes parallel lists over the nodes of all trees, and over their leaves. */
function treeAttributes(
  { base, trees }: Ensemble,
  precision: "float32" | "float64",
): NonNullable<Node["attributes"]> {
  const nodes = {
    treeIds: [] as number[],
    nodeIds: [] as number[],
    features: [] as number[],
    thresholds: [] as number[],
    modes: [] as string[],
    trueIds: [] as number[],
    falseIds: [] as number[],
    missingTrue: [] as number[],
  };
  const leaves = { treeIds: [] as number[], nodeIds: [] as number[], weights: [] as number[] };
  // The operator needs a tree.
  for (const [treeId, tree] of (trees.length > 0 ? trees : [NO_TREE]).entries()) {
    for (let node = 0; node < tree.feature.length; node++) {
      const isLeaf = tree.feature[node] === LEAF;
      nodes.treeIds.push(treeId);
      nodes.nodeIds.push(node);
      nodes.features.push(isLeaf ? 0 : tree.feature[node]!);
      nodes.thresholds.push(tree.threshold[node]!);
      nodes.modes.push(isLeaf ? "LEAF" : "BRANCH_LEQ");
      nodes.trueIds.push(tree.left[node]!);
      nodes.falseIds.push(tree.right[node]!);
      nodes.missingTrue.push(tree.missingLeft[node]!);
      if (!isLeaf) continue;
      leaves.treeIds.push(treeId);
      leaves.nodeIds.push(node);
      leaves.weights.push(tree.value[node]!);
    }
  }
  return {
    "aggregate_function": { string: "SUM" },
    ...realNumbers("base_values", [base], precision),
    "n_targets": { int: 1 },
    "nodes_falsenodeids": { ints: nodes.falseIds },
    "nodes_featureids": { ints: nodes.features },
    "nodes_missing_value_tracks_true": { ints: nodes.missingTrue },
    "nodes_modes": { strings: nodes.modes },
    "nodes_nodeids": { ints: nodes.nodeIds },
    "nodes_treeids": { ints: nodes.treeIds },
    "nodes_truenodeids": { ints: nodes.trueIds },
    ...realNumbers("nodes_values", nodes.thresholds, precision),
    "post_transform": { string: "NONE" },
    "target_ids": { ints: new Uint8Array(leaves.nodeIds.length) },
    "target_nodeids": { ints: leaves.nodeIds },
    "target_treeids": { ints: leaves.treeIds },
    ...realNumbers("target_weights", leaves.weights, precision),
  };
}

/** The operator has two attributes for a list of real numbers: as float32, and as a tensor of either precision. */
function realNumbers(
  name: string,
  values: readonly number[],
  precision: "float32" | "float64",
): Record<string, Attribute> {
  if (precision === "float32") return { [name]: { floats: values } };
  const tensor: Tensor = {
    name: "",
    dims: [values.length],
    type: "double",
    data: Float64Array.from(values),
  };
  return { [`${name}_as_tensor`]: { tensor } };
}

const NO_TREE: Tree = {
  feature: Int32Array.of(LEAF),
  threshold: Float64Array.of(0),
  missingLeft: Uint8Array.of(0),
  left: Int32Array.of(0),
  right: Int32Array.of(0),
  value: Float64Array.of(0),
};
