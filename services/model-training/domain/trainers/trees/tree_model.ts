import { ELEMENT_TYPE, type Node, type Tensor } from "shared/onnx/model_proto.ts";
import { addTreeScores, type Tree, treeEnsembleNode, trueShares } from "shared/onnx/tree_ensemble.ts";
import { COLUMNS, type Estimator, SCORES } from "../../model_file.ts";
import { sigmoid } from "../log_odds.ts";

/** What the sums of the trees go through to become answers; `shares`: each as a part of their sum. */
export type Link = "identity" | "sigmoid" | "softmax" | "shares";

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
export function treeModelNodes(
  { base, trees, link }: TreeModel,
): Pick<Estimator, "nodes" | "initializers" | "treeShares"> {
  const precision = link === "identity" || link === "shares" ? "double" : "float";
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
  const answer: Record<Link, Node[]> = {
    identity: [cast("total", SCORES, "float")],
    sigmoid: [{ op: "Sigmoid", inputs: ["total"], outputs: [SCORES] }],
    softmax: [{ op: "Softmax", inputs: ["total"], outputs: [SCORES], attributes: { axis: { int: 1 } } }],
    shares: [
      { op: "ReduceSum", inputs: ["total", "classes_axis"], outputs: ["all"] },
      { op: "Div", inputs: ["total", "all"], outputs: ["shares"] },
      cast("shares", SCORES, "float"),
    ],
  };
  const input = precision === "double" ? "precise" : COLUMNS;
  return {
    nodes: [
      ...(precision === "double" ? [cast(COLUMNS, input, "double")] : []),
      treeEnsembleNode(ensemble, { input, output: "sum" }),
      { op: "Add", inputs: ["sum", "base"], outputs: ["total"] },
      ...answer[link],
    ],
    treeShares: trueShares(ensemble),
    initializers: [
      baseTensor,
      ...(link === "shares"
        ? [{ name: "classes_axis", dims: [1], type: "int64" as const, data: BigInt64Array.of(1n) }]
        : []),
    ],
  };
}

/** The model's answers, row after row. @param columns as `encodeColumns()` gives them */
export function answerRows(model: TreeModel, columns: readonly Float32Array[], rows: number): Float64Array {
  const { base, trees, link } = model;
  const stride = base.length;
  const scores = new Float64Array(rows * stride);
  for (let row = 0; row < rows; row++) scores.set(base, row * stride);
  trees.forEach((tree, index) => addTreeScores(tree, columns, scores, { stride, offset: index % stride }));
  switch (link) {
    case "identity":
      return scores;
    case "sigmoid":
      return scores.map(sigmoid);
    case "softmax":
      return eachRow(scores, stride, (row) => {
        const highest = row.reduce((most, score) => Math.max(most, score));
        row.forEach((score, index) => row[index] = Math.exp(score - highest));
        return toShares(row);
      });
    case "shares":
      return eachRow(scores, stride, toShares);
  }
}

function eachRow(values: Float64Array, stride: number, change: (row: Float64Array) => void): Float64Array {
  for (let at = 0; at < values.length; at += stride) change(values.subarray(at, at + stride));
  return values;
}

function toShares(row: Float64Array): void {
  const sum = row.reduce((total, value) => total + value, 0);
  row.forEach((value, index) => row[index] = value / sum);
}
