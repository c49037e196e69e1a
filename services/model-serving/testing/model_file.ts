/** A small ONNX file whose answers can be told by heart: the weighted sum of its features. @module */
import { type GoldenRows, MODEL_METADATA, type Signature } from "shared/contracts/signature.ts";
import type { Graph } from "shared/onnx/model_proto.ts";
import { WireWriter } from "shared/onnx/wire.ts";
import { encodeModel, writeNode, writeValueInfo } from "shared/onnx/writer.ts";

export const signature: Signature = {
  task: "regression",
  entity: "customer",
  featureService: { name: "reorder", version: 3 },
  inputs: [
    { name: "orders.count", type: "number", nulls: "refuse" },
    { name: "orders.spend", type: "number", nulls: "refuse" },
  ],
  output: "value",
  classes: null,
};

const fileOf = (signature: Signature, graph: Graph, golden?: GoldenRows) =>
  encodeModel({
    irVersion: 8,
    producerName: "test",
    opsets: { "ai.onnx": 17, "ai.onnx.ml": 3 },
    metadata: {
      [MODEL_METADATA.signature]: JSON.stringify(signature),
      ...(golden === undefined ? {} : { [MODEL_METADATA.goldenRows]: JSON.stringify(golden) }),
    },
    graph,
  });

/** Of a model of three classes. */
export const classesSignature: Signature = {
  ...signature,
  task: "multiclass",
  output: "probabilities",
  classes: ["low", "middle", "high"],
};

/** A model of three classes, whose scores before their softmax are 0, the count, and the spend. */
export const classesModelFile = (): Uint8Array<ArrayBuffer> =>
  fileOf(classesSignature, {
    name: "classes",
    nodes: [
      { op: "MatMul", inputs: ["features", "weights"], outputs: ["scores"] },
      { op: "Softmax", inputs: ["scores"], outputs: ["probabilities"], attributes: { axis: { int: 1 } } },
    ],
    initializers: [
      { name: "weights", type: "float", dims: [2, 3], data: Float32Array.of(0, 1, 0, 0, 0, 1) },
    ],
    inputs: [{ name: "features", type: "float", dims: ["rows", 2] }],
    outputs: [{ name: "probabilities", type: "float", dims: ["rows", 3] }],
  });

/** The same sum as {@link sumModelFile}, written as the platform writes linear models, which can be explained. */
export const linearModelFile = (weights: [number, number], its = signature): Uint8Array<ArrayBuffer> =>
  fileOf(its, {
    name: "linear",
    nodes: [
      { op: "Sub", inputs: ["features", "means"], outputs: ["centred"] },
      { op: "Mul", inputs: ["centred", "factors"], outputs: ["standardised"] },
      { op: "MatMul", inputs: ["standardised", "weights"], outputs: ["column"] },
      { op: "Add", inputs: ["column", "intercept"], outputs: ["sums"] },
      { op: "Reshape", inputs: ["sums", "flat"], outputs: ["value"] },
    ],
    initializers: [
      { name: "means", type: "float", dims: [2], data: Float32Array.of(0, 0) },
      { name: "factors", type: "float", dims: [2], data: Float32Array.of(1, 1) },
      { name: "weights", type: "float", dims: [2, 1], data: Float32Array.from(weights) },
      { name: "intercept", type: "float", dims: [1], data: Float32Array.of(0) },
      { name: "flat", type: "int64", dims: [1], data: BigInt64Array.of(-1n) },
    ],
    inputs: [{ name: "features", type: "float", dims: ["rows", 2] }],
    outputs: [{ name: "value", type: "float", dims: ["rows"] }],
  });

/**
 * The file of the model value = weights[0] * count + weights[1] * spend.
 *
 * @param golden rows that it carries with their recorded answers
 */
export function sumModelFile(weights: [number, number], golden?: GoldenRows): Uint8Array<ArrayBuffer> {
  return fileOf(signature, {
    name: "sum",
    nodes: [
      { op: "MatMul", inputs: ["features", "weights"], outputs: ["column"] },
      { op: "Reshape", inputs: ["column", "flat"], outputs: ["value"] },
    ],
    initializers: [
      { name: "weights", type: "float", dims: [2, 1], data: Float32Array.from(weights) },
      { name: "flat", type: "int64", dims: [1], data: BigInt64Array.of(-1n) },
    ],
    inputs: [{ name: "features", type: "float", dims: ["rows", 2] }],
    outputs: [{ name: "value", type: "float", dims: ["rows"] }],
  }, golden);
}

/** 200 KB that are broadcast against each other to 2.5 GB; their greatest is added to the count. */
export const broadcastModelFile = (): Uint8Array<ArrayBuffer> =>
  fileOf(signature, {
    name: "broadcast",
    nodes: [
      { op: "Add", inputs: ["tall", "wide"], outputs: ["huge"] },
      { op: "ReduceMax", inputs: ["huge"], outputs: ["most"], attributes: { keepdims: { int: 0 } } },
      { op: "MatMul", inputs: ["features", "weights"], outputs: ["column"] },
      { op: "Reshape", inputs: ["column", "flat"], outputs: ["sums"] },
      { op: "Add", inputs: ["sums", "most"], outputs: ["value"] },
    ],
    initializers: [
      { name: "tall", type: "float", dims: [25_000, 1], data: new Float32Array(25_000) },
      { name: "wide", type: "float", dims: [1, 25_000], data: new Float32Array(25_000) },
      { name: "weights", type: "float", dims: [2, 1], data: Float32Array.of(1, 0) },
      { name: "flat", type: "int64", dims: [1], data: BigInt64Array.of(-1n) },
    ],
    inputs: [{ name: "features", type: "float", dims: ["rows", 2] }],
    outputs: [{ name: "value", type: "float", dims: ["rows"] }],
  });

/** The count, and a constant that lies in another file. */
export function externalModelFile(): Uint8Array<ArrayBuffer> {
  const file = new WireWriter();
  file.int(1, 8);
  file.message(7, (graph) => {
    const node = { op: "Add", inputs: ["features", "elsewhere"], outputs: ["value"] };
    graph.message(1, (child) => writeNode(child, node));
    graph.message(5, (tensor) => {
      tensor.string(8, "elsewhere");
      tensor.message(13, (entry) => {
        entry.string(1, "location");
        entry.string(2, "../../etc/passwd");
      });
      tensor.int(14, 1);
    });
    const tensorOf = (name: string) => ({ name, type: "float" as const, dims: ["rows", 2] });
    graph.message(11, (input) => writeValueInfo(input, tensorOf("features")));
    graph.message(12, (output) => writeValueInfo(output, tensorOf("value")));
  });
  return file.finish();
}

/** A constant of 4 GB that a few bytes ask for. */
export const constantModelFile = (): Uint8Array<ArrayBuffer> =>
  fileOf(signature, {
    name: "constant",
    nodes: [
      { op: "ConstantOfShape", inputs: ["shape"], outputs: ["huge"] },
      { op: "ReduceMax", inputs: ["huge"], outputs: ["value"] },
    ],
    initializers: [{ name: "shape", type: "int64", dims: [2], data: BigInt64Array.of(32_768n, 32_768n) }],
    inputs: [{ name: "features", type: "float", dims: ["rows", 2] }],
    outputs: [{ name: "value", type: "float", dims: ["rows"] }],
  });

/** A tree whose second node leads back to the first. */
export const cyclicModelFile = (): Uint8Array<ArrayBuffer> =>
  fileOf(signature, {
    name: "cycle",
    nodes: [{
      op: "TreeEnsembleRegressor",
      domain: "ai.onnx.ml",
      inputs: ["features"],
      outputs: ["value"],
      attributes: {
        "n_targets": { int: 1 },
        "nodes_treeids": { ints: [0, 0, 0] },
        "nodes_nodeids": { ints: [0, 1, 2] },
        "nodes_featureids": { ints: [0, 0, 0] },
        "nodes_modes": { strings: ["BRANCH_LEQ", "BRANCH_LEQ", "LEAF"] },
        "nodes_values": { floats: [0, 0, 0] },
        "nodes_truenodeids": { ints: [1, 0, 0] },
        "nodes_falsenodeids": { ints: [2, 2, 0] },
        "target_treeids": { ints: [0] },
        "target_nodeids": { ints: [2] },
        "target_ids": { ints: [0] },
        "target_weights": { floats: [1] },
      },
    }],
    initializers: [],
    inputs: [{ name: "features", type: "float", dims: ["rows", 2] }],
    outputs: [{ name: "value", type: "float", dims: ["rows", 1] }],
  });

/** The same sum, except that a row with a feature above 0 makes it loop for ever. */
export function loopModelFile(): Uint8Array<ArrayBuffer> {
  const body: Graph = {
    name: "body",
    nodes: [
      { op: "Identity", inputs: ["go_on"], outputs: ["go_on_still"] },
      { op: "Identity", inputs: ["before"], outputs: ["after"] },
    ],
    initializers: [],
    inputs: [
      { name: "round", type: "int64", dims: [] },
      { name: "go_on", type: "bool", dims: [] },
      { name: "before", type: "float", dims: ["rows", 2] },
    ],
    outputs: [
      { name: "go_on_still", type: "bool", dims: [] },
      { name: "after", type: "float", dims: ["rows", 2] },
    ],
  };
  return fileOf(signature, {
    name: "loop",
    nodes: [
      { op: "ReduceMax", inputs: ["features"], outputs: ["most"], attributes: { keepdims: { int: 0 } } },
      { op: "Greater", inputs: ["most", "zero"], outputs: ["hang"] },
      {
        op: "Loop",
        inputs: ["", "hang", "features"],
        outputs: ["same"],
        attributes: { body: { graph: body } },
      },
      {
        op: "ReduceSum",
        inputs: ["same", "columns"],
        outputs: ["value"],
        attributes: { keepdims: { int: 0 } },
      },
    ],
    initializers: [
      { name: "zero", type: "float", dims: [], data: Float32Array.of(0) },
      { name: "columns", type: "int64", dims: [1], data: BigInt64Array.of(1n) },
    ],
    inputs: [{ name: "features", type: "float", dims: ["rows", 2] }],
    outputs: [{ name: "value", type: "float", dims: ["rows"] }],
  });
}

/** The file of a model that answers with the count, and fails where that is not below the limit. */
export function fragileModelFile(limit: number): Uint8Array<ArrayBuffer> {
  return fileOf(signature, {
    name: "fragile",
    nodes: [
      { op: "Gather", inputs: ["features", "first"], outputs: ["count"], attributes: { axis: { int: 1 } } },
      { op: "Cast", inputs: ["count"], outputs: ["index"], attributes: { to: { int: 7 } } },
      { op: "Gather", inputs: ["table", "index"], outputs: ["value"] },
    ],
    initializers: [
      { name: "first", type: "int64", dims: [], data: BigInt64Array.of(0n) },
      {
        name: "table",
        type: "float",
        dims: [limit],
        data: Float32Array.from({ length: limit }, (_, i) => i),
      },
    ],
    inputs: [{ name: "features", type: "float", dims: ["rows", 2] }],
    outputs: [{ name: "value", type: "float", dims: ["rows"] }],
  });
}
