/** ONNX files that are made to do harm, each small or valid in itself. @module */
import type { Graph } from "shared/onnx/model_proto.ts";
import { WIRE_TYPE, WireWriter } from "shared/onnx/wire.ts";
import { writeNode, writeValueInfo } from "shared/onnx/writer.ts";
import { fileOf, signature } from "./model_file.ts";

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

/** The largest of a row as its value. */
const largestOf = (input: string) => ({
  op: "ReduceMax",
  inputs: [input],
  outputs: ["value"],
  attributes: { axes: { ints: [1] }, keepdims: { int: 0 } },
});

/** Forty times beside itself: 2 to the power of 41 columns. */
export const doublingModelFile = (): Uint8Array<ArrayBuffer> =>
  fileOf(signature, {
    name: "doubling",
    nodes: [
      ...Array.from({ length: 40 }, (_, index) => {
        const input = index === 0 ? "features" : `twice${index - 1}`;
        return {
          op: "Concat",
          inputs: [input, input],
          outputs: [`twice${index}`],
          attributes: { axis: { int: 1 } },
        };
      }),
      largestOf("twice39"),
    ],
    initializers: [],
    inputs: [{ name: "features", type: "float", dims: ["rows", 2] }],
    outputs: [{ name: "value", type: "float", dims: ["rows"] }],
  });

/** The least int64 divided by the count less two: there is no such number of one. */
export const trapModelFile = (): Uint8Array<ArrayBuffer> =>
  fileOf(signature, {
    name: "trap",
    nodes: [
      { op: "Cast", inputs: ["features"], outputs: ["whole"], attributes: { to: { int: 7 } } },
      { op: "Sub", inputs: ["whole", "two"], outputs: ["divisors"] },
      { op: "Div", inputs: ["least", "divisors"], outputs: ["quotients"] },
      { op: "Cast", inputs: ["quotients"], outputs: ["numbers"], attributes: { to: { int: 1 } } },
      largestOf("numbers"),
    ],
    initializers: [
      { name: "two", type: "int64", dims: [1], data: BigInt64Array.of(2n) },
      { name: "least", type: "int64", dims: [1], data: BigInt64Array.of(-(2n ** 63n)) },
    ],
    inputs: [{ name: "features", type: "float", dims: ["rows", 2] }],
    outputs: [{ name: "value", type: "float", dims: ["rows"] }],
  });

/** An operator with U+0000 in its name, which PostgreSQL has no place for. */
export const nulModelFile = (): Uint8Array<ArrayBuffer> =>
  fileOf(signature, {
    name: "nul",
    nodes: [{ op: "Lo\0op", inputs: ["features"], outputs: ["value"] }],
    initializers: [],
    inputs: [{ name: "features", type: "float", dims: ["rows", 2] }],
    outputs: [{ name: "value", type: "float", dims: ["rows"] }],
  });

/** Rows of four hundred million numbers. */
export const wideModelFile = (): Uint8Array<ArrayBuffer> =>
  fileOf(signature, {
    name: "wide",
    nodes: [largestOf("features")],
    initializers: [],
    inputs: [{ name: "features", type: "float", dims: ["rows", 400_000_000] }],
    outputs: [{ name: "value", type: "float", dims: ["rows"] }],
  });

/** A tree that is one path: at each node the next one, or the one leaf. */
export function deepModelFile(depth: number): Uint8Array<ArrayBuffer> {
  const list = (value: (node: number) => number) =>
    Array.from({ length: depth + 1 }, (_, node) => value(node));
  return fileOf(signature, {
    name: "deep",
    nodes: [
      {
        op: "TreeEnsembleRegressor",
        domain: "ai.onnx.ml",
        inputs: ["features"],
        outputs: ["column"],
        attributes: {
          "n_targets": { int: 1 },
          "nodes_treeids": { ints: list(() => 0) },
          "nodes_nodeids": { ints: list((node) => node) },
          "nodes_featureids": { ints: list(() => 0) },
          "nodes_modes": {
            strings: list((node) => node).map((node) => node < depth ? "BRANCH_LEQ" : "LEAF"),
          },
          "nodes_values": { floats: list((node) => -node) },
          "nodes_truenodeids": { ints: list((node) => node < depth ? depth : 0) },
          "nodes_falsenodeids": { ints: list((node) => node < depth ? node + 1 : 0) },
          "target_treeids": { ints: [0] },
          "target_nodeids": { ints: [depth] },
          "target_ids": { ints: [0] },
          "target_weights": { floats: [1] },
        },
      },
      { op: "Reshape", inputs: ["column", "flat"], outputs: ["value"] },
    ],
    initializers: [{ name: "flat", type: "int64", dims: [1], data: BigInt64Array.of(-1n) }],
    inputs: [{ name: "features", type: "float", dims: ["rows", 2] }],
    outputs: [{ name: "value", type: "float", dims: ["rows"] }],
  });
}

/** Branches within branches. */
export function nestedModelFile(depth: number): Uint8Array<ArrayBuffer> {
  const outputs = [{ name: "value", type: "float" as const, dims: ["rows", 2] }];
  const features = [{ name: "features", type: "float" as const, dims: ["rows", 2] }];
  let nodes: Graph["nodes"] = [{ op: "Identity", inputs: ["features"], outputs: ["value"] }];
  for (let level = 0; level < depth; level++) {
    const branch: Graph = { name: "branch", nodes, initializers: [], inputs: [], outputs };
    nodes = [{
      op: "If",
      inputs: ["yes"],
      outputs: ["value"],
      attributes: { then_branch: { graph: branch } },
    }];
  }
  return fileOf(signature, { name: "nested", nodes, initializers: [], inputs: features, outputs });
}

/** A list of as many numbers, of a byte each in the file. */
export function longListModelFile(values: number): Uint8Array<ArrayBuffer> {
  const ints = new Uint8Array(values);
  return fileOf(signature, {
    name: "long list",
    nodes: [{ op: "Identity", inputs: ["features"], outputs: ["value"], attributes: { list: { ints } } }],
    initializers: [],
    inputs: [{ name: "features", type: "float", dims: ["rows", 2] }],
    outputs: [{ name: "value", type: "float", dims: ["rows"] }],
  });
}

/** As many inputs of two bytes each: without a name, a type and a shape. */
export function manyInputsModelFile(count: number): Uint8Array<ArrayBuffer> {
  const file = new WireWriter();
  file.int(1, 8);
  // Its tag, and the length of nothing.
  const [tag, length] = [11 * 8 + WIRE_TYPE.bytes, 0];
  file.bytes(7, Uint8Array.from({ length: 2 * count }, (_, at) => at % 2 === 0 ? tag : length));
  return file.finish();
}

/** A text beside a number: its output is text, where the signature says a value. */
export const textModelFile = (): Uint8Array<ArrayBuffer> =>
  fileOf(signature, {
    name: "text",
    nodes: [{ op: "Cast", inputs: ["features"], outputs: ["value"], attributes: { to: { int: 8 } } }],
    initializers: [],
    inputs: [{ name: "features", type: "float", dims: ["rows", 2] }],
    outputs: [{ name: "value", type: "string", dims: ["rows", 2] }],
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
