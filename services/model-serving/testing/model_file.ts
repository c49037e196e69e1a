/** A small ONNX file whose answers can be told by heart: the weighted sum of its features. @module */
import { type GoldenRows, MODEL_METADATA, type Signature } from "shared/contracts/signature.ts";
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

/** A file of the graph with the signature in its metadata. */
export const fileOf = (
  signature: Signature,
  graph: Graph,
  golden?: GoldenRows,
): Uint8Array<ArrayBuffer> =>
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
