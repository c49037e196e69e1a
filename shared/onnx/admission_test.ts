import { assertEquals, assertThrows } from "@std/assert";
import { AppError } from "../errors.ts";
import { admitModelFile } from "./admission.ts";
import type { Attribute, Graph, Model, Node } from "./model_proto.ts";
import { WireWriter } from "./wire.ts";
import { encodeModel } from "./writer.ts";

const fileOf = (nodes: readonly Node[], more: Partial<Model> = {}, graph: Partial<Graph> = {}) =>
  encodeModel({
    irVersion: 8,
    producerName: "test",
    opsets: { "ai.onnx": 17, "ai.onnx.ml": 3 },
    metadata: {},
    graph: {
      name: "test",
      nodes,
      initializers: [],
      inputs: [{ name: "features", type: "float", dims: ["rows", 2] }],
      outputs: [{ name: "value", type: "float", dims: ["rows", 1] }],
      ...graph,
    },
    ...more,
  });

const reasonsOf = (file: Uint8Array) => {
  const error = assertThrows(() => admitModelFile(file), AppError) as AppError;
  return { code: error.code, paths: error.reasons.map(({ path }) => path) };
};

/** One tree of nodes 0 (a branch), 1 and 2 (leaves), with the children that are given. */
const tree = (children: { ifTrue: number; ifFalse: number; feature?: number }): Node => {
  const attributes: Record<string, Attribute> = {
    "nodes_treeids": { ints: [0, 0, 0] },
    "nodes_nodeids": { ints: [0, 1, 2] },
    "nodes_featureids": { ints: [children.feature ?? 0, 0, 0] },
    "nodes_values": { floats: [0.5, 0, 0] },
    "nodes_modes": { strings: ["BRANCH_LEQ", "LEAF", "LEAF"] },
    "nodes_truenodeids": { ints: [children.ifTrue, 0, 0] },
    "nodes_falsenodeids": { ints: [children.ifFalse, 0, 0] },
    "target_ids": { ints: [0, 0] },
    "target_treeids": { ints: [0, 0] },
    "target_nodeids": { ints: [1, 2] },
    "target_weights": { floats: [1, 2] },
    "n_targets": { int: 1 },
  };
  return {
    op: "TreeEnsembleRegressor",
    domain: "ai.onnx.ml",
    inputs: ["features"],
    outputs: ["value"],
    attributes,
  };
};

Deno.test("admitModelFile() lets a model of known operators through, and says what it is", () => {
  const { summary } = admitModelFile(fileOf([tree({ ifTrue: 1, ifFalse: 2 })]));
  assertEquals(summary.operators, [{ domain: "ai.onnx.ml", op: "TreeEnsembleRegressor", count: 1 }]);
});

Deno.test("admitModelFile() refuses what may loop for ever or take memory without bound", () => {
  const relu: Graph = { name: "body", nodes: [], initializers: [], inputs: [], outputs: [] };
  const file = fileOf([
    { op: "Loop", inputs: ["", ""], outputs: ["a"], attributes: { body: { graph: relu } } },
    { op: "ConstantOfShape", inputs: ["shape"], outputs: ["b"] },
    { op: "FusedGemm", domain: "com.microsoft", inputs: ["features"], outputs: ["value"] },
  ]);
  assertEquals(reasonsOf(file), {
    code: "unprocessable",
    paths: [
      "/graph/node/ai.onnx/ConstantOfShape",
      "/graph/node/ai.onnx/Loop",
      "/graph/node/com.microsoft/FusedGemm",
    ],
  });
});

Deno.test("admitModelFile() finds an operator that is hidden in the body of another", () => {
  const body: Graph = {
    name: "body",
    nodes: [{ op: "RandomNormal", inputs: [], outputs: ["x"] }],
    initializers: [],
    inputs: [],
    outputs: [],
  };
  const file = fileOf([
    { op: "Relu", inputs: ["features"], outputs: ["value"], attributes: { body: { graph: body } } },
  ]);
  assertEquals(reasonsOf(file).paths, ["/graph/node/ai.onnx/RandomNormal"]);
});

Deno.test("admitModelFile() refuses trees with a cycle, a child that is not there, or a feature beyond the row", () => {
  for (const children of [{ ifTrue: 0, ifFalse: 2 }, { ifTrue: 1, ifFalse: 0 }, { ifTrue: 1, ifFalse: 7 }]) {
    assertEquals(reasonsOf(fileOf([tree(children)])).paths, ["/graph/node/ai.onnx.ml/TreeEnsembleRegressor"]);
  }
  assertEquals(reasonsOf(fileOf([tree({ ifTrue: 1, ifFalse: 2, feature: 2 })])).code, "unprocessable");
});

Deno.test("admitModelFile() refuses trees of ai.onnx.ml 5 with a cycle", () => {
  const node = (trueId: number): Node => ({
    op: "TreeEnsemble",
    domain: "ai.onnx.ml",
    inputs: ["features"],
    outputs: ["value"],
    attributes: {
      "tree_roots": { ints: [0] },
      "nodes_featureids": { ints: [0, 1] },
      "nodes_modes": { tensor: { name: "", type: "uint8", dims: [2], data: Uint8Array.of(0, 0) } },
      "nodes_splits": { tensor: { name: "", type: "float", dims: [2], data: Float32Array.of(0, 0) } },
      "leaf_weights": { tensor: { name: "", type: "float", dims: [3], data: Float32Array.of(0, 0, 0) } },
      "nodes_truenodeids": { ints: [1, trueId] },
      "nodes_trueleafs": { ints: [0, trueId === 0 ? 0 : 1] },
      "nodes_falsenodeids": { ints: [0, 1] },
      "nodes_falseleafs": { ints: [1, 1] },
      "leaf_targetids": { ints: [0, 0, 0] },
    },
  });
  const opsets = { "ai.onnx": 17, "ai.onnx.ml": 5 };
  assertEquals(reasonsOf(fileOf([node(0)], { opsets })).paths, ["/graph/node/ai.onnx.ml/TreeEnsemble"]);
  admitModelFile(fileOf([node(2)], { opsets }));
});

Deno.test("admitModelFile() refuses constants in another file, of the graph and of an attribute", () => {
  const external = (tensor: WireWriter) => {
    tensor.string(8, "elsewhere");
    tensor.int(14, 1);
  };
  for (
    const put of [
      (graph: WireWriter) => graph.message(5, external),
      (graph: WireWriter) =>
        graph.message(1, (node) => {
          node.string(4, "Constant");
          node.message(5, (attribute) => attribute.message(5, external));
        }),
    ]
  ) {
    const file = new WireWriter();
    file.int(1, 8);
    file.message(7, (graph) => {
      put(graph);
      graph.message(12, (output) => output.string(1, "value"));
    });
    assertEquals(reasonsOf(file.finish()), { code: "unprocessable", paths: ["/graph"] });
  }
});

Deno.test("admitModelFile() refuses formats and operator sets that it does not know", () => {
  const node: Node = { op: "Relu", inputs: ["features"], outputs: ["value"] };
  assertEquals(reasonsOf(fileOf([node], { irVersion: 99 })).paths, ["/ir_version"]);
  assertEquals(reasonsOf(fileOf([node], { opsets: { "ai.onnx": 99 } })).paths, ["/opset_import/ai.onnx"]);
});

Deno.test("admitModelFile() refuses a file beyond its size unread, and what is no ONNX file", () => {
  const file = fileOf([{ op: "Relu", inputs: ["features"], outputs: ["value"] }]);
  assertEquals(
    (assertThrows(() => admitModelFile(file, { maxBytes: 10 }), AppError) as AppError).code,
    "too_large",
  );
  assertEquals(reasonsOf(new TextEncoder().encode("no model")).code, "invalid");
});
