import { assert, assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import { AppError } from "../errors.ts";
import { readModel } from "./reader.ts";
import { WireWriter } from "./wire.ts";

interface ModelParts {
  nodes?: ((node: WireWriter) => void)[];
  graph?: (graph: WireWriter) => void;
  model?: (model: WireWriter) => void;
}

/** A file with one output, and whatever a test adds to it. */
function modelBytes({ nodes = [], graph = () => {}, model = () => {} }: ModelParts = {}): Uint8Array {
  const writer = new WireWriter();
  writer.int(1, 8);
  writer.message(7, (child) => {
    for (const node of nodes) child.message(1, node);
    graph(child);
    child.message(12, (output) => output.string(1, "y"));
  });
  model(writer);
  return writer.finish();
}

const operator = (op: string) => (node: WireWriter) => node.string(4, op);

const refusal = (bytes: Uint8Array, limits = {}) => assertThrows(() => readModel(bytes, limits), AppError);

Deno.test("readModel() counts the operators of branches and of functions", () => {
  const branch = (node: WireWriter) => {
    node.string(4, "If");
    node.message(5, (attribute) => attribute.message(6, (graph) => graph.message(1, operator("Loop"))));
    node.message(5, (attribute) => attribute.message(11, (graph) => graph.message(1, operator("Loop"))));
  };
  const summary = readModel(modelBytes({
    nodes: [branch],
    model: (model) => model.message(25, (body) => body.message(7, operator("Scan"))),
  }));
  assertEquals(summary.operators, [
    { domain: "ai.onnx", op: "If", count: 1 },
    { domain: "ai.onnx", op: "Loop", count: 2 },
    { domain: "ai.onnx", op: "Scan", count: 1 },
  ]);
  assertEquals(summary.functions, 1);
});

Deno.test("readModel() leaves out inputs that are constants", () => {
  const summary = readModel(modelBytes({
    graph: (graph) => {
      graph.message(5, (tensor) => tensor.string(8, "weights"));
      graph.message(11, (input) => input.string(1, "weights"));
      graph.message(11, (input) => input.string(1, "x"));
    },
  }));
  assertEquals(summary.inputs, [{ name: "x", type: "other", dims: null }]);
});

Deno.test("readModel() sees that constants lie outside the file", () => {
  const external = (tensor: WireWriter) => tensor.int(14, 1);
  assert(readModel(modelBytes({ graph: (graph) => graph.message(5, external) })).externalData);
  const attribute = (node: WireWriter) => node.message(5, (value) => value.message(5, external));
  assert(readModel(modelBytes({ nodes: [attribute] })).externalData);
});

Deno.test("readModel() keeps metadata named like a property of every object", () => {
  const summary = readModel(modelBytes({
    model: (model) =>
      model.message(14, (entry) => {
        entry.string(1, "__proto__");
        entry.string(2, "text");
      }),
  }));
  assertEquals(Object.entries(summary.metadata), [["__proto__", "text"]]);
});

Deno.test("readModel() refuses a file that is cut anywhere inside a field", () => {
  const bytes = modelBytes({ nodes: [operator("Add"), operator("Mul")] });
  for (let length = 0; length < bytes.length; length++) {
    assertEquals(refusal(bytes.subarray(0, length)).code, "invalid");
  }
});

Deno.test("readModel() refuses a length of 2 GiB in a file of a few bytes", () => {
  const error = refusal(Uint8Array.of(0x08, 8, 0x3a, 0x80, 0x80, 0x80, 0x80, 0x08, 1));
  assertEquals(
    error.message,
    "Cannot read the ONNX file: a field says it has 2147483648 bytes, but 1 are left",
  );
});

Deno.test("readModel() refuses numbers that are too long, too large, or negative lengths", () => {
  refusal(Uint8Array.of(0x08, ...new Array(10).fill(0xff), 1));
  refusal(Uint8Array.of(0x08, ...new Array(8).fill(0xff), 0x0f));
  refusal(Uint8Array.of(0x3a, ...new Array(9).fill(0xff), 1));
});

Deno.test("readModel() refuses a file without version, without graph, without output, or with two graphs", () => {
  const message = (write: (writer: WireWriter) => void) => {
    const writer = new WireWriter();
    write(writer);
    return refusal(writer.finish()).message;
  };
  assertEquals(message(() => {}), "Cannot read the ONNX file: it states no format version");
  assertEquals(message((writer) => writer.int(1, 8)), "Cannot read the ONNX file: it has no graph");
  assertEquals(
    message((writer) => {
      writer.int(1, 8);
      writer.message(7, () => {});
    }),
    "Cannot read the ONNX file: its graph has no output",
  );
  assertEquals(
    message((writer) => {
      writer.message(7, () => {});
      writer.message(7, () => {});
    }),
    "Cannot read the ONNX file: it has two graphs",
  );
});

Deno.test("readModel() refuses text that is not UTF-8", () => {
  const bytes = modelBytes({ model: (model) => model.bytes(2, Uint8Array.of(0xff, 0xfe)) });
  assertEquals(refusal(bytes).code, "invalid");
});

Deno.test("readModel() refuses what is beyond its limits", () => {
  assertEquals(refusal(modelBytes(), { maxBytes: 4 }).code, "too_large");
  const nodes = [operator("Add"), operator("Add"), operator("Add")];
  assertEquals(readModel(modelBytes({ nodes }), { maxNodes: 3 }).operators[0]?.count, 3);
  assertEquals(refusal(modelBytes({ nodes }), { maxNodes: 2 }).code, "too_large");
  const graphs: Record<string, (graph: WireWriter, count: number) => void> = {
    attributes: (graph, count) =>
      graph.message(1, (node) => {
        for (let part = 0; part < count; part++) node.message(5, () => {});
      }),
    ...Object.fromEntries(
      Object.entries({ constants: 5, inputs: 11, outputs: 12, sparse: 15 }).map(([name, field]) => [
        name,
        (graph: WireWriter, count: number) => {
          for (let part = 0; part < count; part++) graph.message(field, () => {});
        },
      ]),
    ),
    dimensions: (graph, count) =>
      graph.message(
        11,
        (input) =>
          input.message(2, (type) =>
            type.message(1, (tensor) =>
              tensor.message(2, (shape) => {
                for (let part = 0; part < count; part++) shape.message(1, () => {});
              }))),
      ),
  };
  for (const [name, write] of Object.entries(graphs)) {
    const { code, message } = refusal(modelBytes({ graph: (graph) => write(graph, 100) }), { maxParts: 90 });
    assertEquals([code, message.includes("more than 90 attributes")], ["too_large", true], name);
  }
  const metadata = modelBytes({
    model: (model) => {
      for (let part = 0; part < 100; part++) model.message(14, () => {});
    },
  });
  assertEquals(refusal(metadata, { maxParts: 90 }).code, "too_large");
  const nested = (depth: number) => (node: WireWriter): void => {
    if (depth > 0) {
      node.message(5, (attribute) => attribute.message(6, (graph) => graph.message(1, nested(depth - 1))));
    }
  };
  readModel(modelBytes({ nodes: [nested(5)] }), { maxDepth: 5 });
  assertEquals(refusal(modelBytes({ nodes: [nested(6)] }), { maxDepth: 5 }).code, "too_large");
});

Deno.test("readModel() answers any bytes with a summary or a refusal", () => {
  const valid = modelBytes({ nodes: [operator("Add")] });
  const bytes = fc.oneof(
    fc.uint8Array({ maxLength: 64 }),
    fc.tuple(fc.nat(valid.length - 1), fc.nat(255)).map(([at, byte]) => valid.with(at, byte)),
  );
  fc.assert(fc.property(bytes, (candidate) => {
    try {
      readModel(candidate);
    } catch (error) {
      assert(error instanceof AppError, String(error));
    }
  }));
});
