/** A small ONNX file whose answers can be told by heart: the weighted sum of its features. @module */
import { MODEL_METADATA, type Signature } from "shared/contracts/signature.ts";
import type { Graph } from "shared/onnx/model_proto.ts";
import { encodeModel } from "shared/onnx/writer.ts";

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

/** The file of the model value = weights[0] * count + weights[1] * spend. */
export function sumModelFile(weights: [number, number]): Uint8Array<ArrayBuffer> {
  return encodeModel({
    irVersion: 8,
    producerName: "test",
    opsets: { "ai.onnx": 17 },
    metadata: { [MODEL_METADATA.signature]: JSON.stringify(signature) },
    graph: {
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
    },
  });
}

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
  return encodeModel({
    irVersion: 8,
    producerName: "test",
    opsets: { "ai.onnx": 17 },
    metadata: { [MODEL_METADATA.signature]: JSON.stringify(signature) },
    graph: {
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
    },
  });
}

/** The file of a model that answers with the count, and fails where that is not below the limit. */
export function fragileModelFile(limit: number): Uint8Array<ArrayBuffer> {
  return encodeModel({
    irVersion: 8,
    producerName: "test",
    opsets: { "ai.onnx": 17 },
    metadata: { [MODEL_METADATA.signature]: JSON.stringify(signature) },
    graph: {
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
    },
  });
}
