import { assertEquals, assertThrows } from "@std/assert";
import type { Model } from "./model_proto.ts";
import { readModel } from "./reader.ts";
import { encodeModel } from "./writer.ts";

const identity: Model = {
  irVersion: 8,
  producerName: "p",
  opsets: { "ai.onnx": 17 },
  metadata: { k: "v" },
  graph: {
    name: "g",
    nodes: [{ op: "Identity", inputs: ["x"], outputs: ["y"] }],
    initializers: [],
    inputs: [{ name: "x", type: "float", dims: ["n", 2] }],
    outputs: [{ name: "y", type: "float", dims: ["n", 2] }],
  },
};

Deno.test("encodeModel() writes the bytes of the format", () => {
  const text = (value: string) => [value.length, ...new TextEncoder().encode(value)];
  const value = (name: string) => [
    ...[0x0a, ...text(name)],
    // type { tensor_type { elem_type: 1, shape { dim { dim_param: "n" } dim { dim_value: 2 } } } }
    ...[0x12, 15, 0x0a, 13, 0x08, 1, 0x12, 9, 0x0a, 3, 0x12, ...text("n"), 0x0a, 2, 0x08, 2],
  ];
  const node = [0x0a, ...text("x"), 0x12, ...text("y"), 0x22, ...text("Identity")];
  const graph = [
    ...[0x0a, node.length, ...node],
    ...[0x12, ...text("g")],
    ...[0x5a, value("x").length, ...value("x")],
    ...[0x62, value("y").length, ...value("y")],
  ];
  assertEquals(
    [...encodeModel(identity)],
    [
      ...[0x08, 8, 0x12, ...text("p")],
      ...[0x3a, graph.length, ...graph],
      ...[0x42, 4, 0x0a, 0, 0x10, 17],
      ...[0x72, 6, 0x0a, ...text("k"), 0x12, ...text("v")],
    ],
  );
});

Deno.test("encodeModel() writes what readModel() reads", () => {
  const model: Model = {
    ...identity,
    opsets: { "ai.onnx": 17, "ai.onnx.ml": 3 },
    metadata: { "microml.signature": '{"task":"binary"}', "__proto__x": "\u00e4" },
    graph: {
      ...identity.graph,
      nodes: [
        {
          op: "TreeEnsembleRegressor",
          domain: "ai.onnx.ml",
          inputs: ["x"],
          outputs: ["t"],
          attributes: {
            ints: { ints: [0, 127, 128, -1, 2 ** 40] },
            floats: { floats: [0.5, -1] },
            strings: { strings: ["BRANCH_LEQ", "LEAF"] },
            int: { int: -3 },
            float: { float: 0.25 },
            text: { string: "SUM" },
            tensor: { tensor: { name: "", dims: [2], type: "double", data: Float64Array.of(1, 2) } },
          },
        },
        { op: "Mul", inputs: ["t", "c"], outputs: ["u"] },
        { op: "Mul", inputs: ["u", "c"], outputs: ["y"] },
      ],
      initializers: [{ name: "c", dims: [], type: "float", data: Float32Array.of(2) }],
    },
  };
  const summary = readModel(encodeModel(model));
  assertEquals({ ...summary, opsets: { ...summary.opsets }, metadata: { ...summary.metadata } }, {
    irVersion: 8,
    producerName: "p",
    opsets: { "ai.onnx": 17, "ai.onnx.ml": 3 },
    metadata: { "microml.signature": '{"task":"binary"}', "__proto__x": "\u00e4" },
    inputs: [{ name: "x", type: "float", dims: ["n", 2] }],
    outputs: [{ name: "y", type: "float", dims: ["n", 2] }],
    operators: [
      { domain: "ai.onnx", op: "Mul", count: 2 },
      { domain: "ai.onnx.ml", op: "TreeEnsembleRegressor", count: 1 },
    ],
    functions: 0,
    externalData: false,
  });
});

Deno.test("encodeModel() refuses a tensor whose shape does not fit its data", () => {
  const initializers = [{ name: "c", dims: [3], type: "float" as const, data: Float32Array.of(2) }];
  assertThrows(
    () => encodeModel({ ...identity, graph: { ...identity.graph, initializers } }),
    RangeError,
    'Cannot write the tensor "c"',
  );
});
