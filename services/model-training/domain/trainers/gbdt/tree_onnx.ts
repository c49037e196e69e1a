import { ELEMENT_TYPE, type Node, type Tensor } from "shared/onnx/model_proto.ts";
import { type Tree, treeEnsembleNode } from "shared/onnx/tree_ensemble.ts";
import { COLUMNS, type Estimator, SCORES } from "../../model_file.ts";

/** What the sums of the trees go through to become answers. */
export type Link = "identity" | "sigmoid" | "softmax";

/** A model of trees: each class (else there is one) has a base, and in each round a tree. */
export interface TreeModel {
  /** Added to the sums of the trees; float32. */
  base: Float64Array;
  /** Round after round, in each of them one a class. */
  trees: readonly Tree[];
  link: Link;
}

/**
 * The nodes of a graph that scores as the trees do. Log odds are small, and added in float32. Values of any size are
 * added in float64: in float32, hundreds of large leaves that cancel out would leave an answer that is off by more than
 * a file's may be.
 */
export function treeModelNodes({ base, trees, link }: TreeModel): Pick<Estimator, "nodes" | "initializers"> {
  const precision = link === "identity" ? "double" : "float";
  const targets = base.length;
  const ensemble = {
    trees: trees.map((tree, index) => ({ tree, target: index % targets })),
    targets,
    precision,
  } as const;
  const baseTensor: Tensor = precision === "double"
    ? { name: "base", dims: [targets], type: "double", data: base }
    : { name: "base", dims: [targets], type: "float", data: Float32Array.from(base) };
  const cast = (input: string, output: string, to: "double" | "float"): Node => ({
    op: "Cast",
    inputs: [input],
    outputs: [output],
    attributes: { to: { int: ELEMENT_TYPE[to] } },
  });
  const answer: Record<Link, Node> = {
    identity: cast("total", SCORES, "float"),
    sigmoid: { op: "Sigmoid", inputs: ["total"], outputs: [SCORES] },
    softmax: { op: "Softmax", inputs: ["total"], outputs: [SCORES], attributes: { axis: { int: 1 } } },
  };
  const input = precision === "double" ? "precise" : COLUMNS;
  return {
    nodes: [
      ...(precision === "double" ? [cast(COLUMNS, input, "double")] : []),
      treeEnsembleNode(ensemble, { input, output: "sum" }),
      { op: "Add", inputs: ["sum", "base"], outputs: ["total"] },
      answer[link],
    ],
    initializers: [baseTensor],
  };
}
