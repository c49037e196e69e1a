import {
  type Attribute,
  ELEMENT_TYPE,
  type Graph,
  type Model,
  type Node,
  type Tensor,
  type ValueInfo,
} from "./model_proto.ts";
import { WireWriter } from "./wire.ts";

/** The format writes the default operator set as the empty text. */
const DEFAULT_DOMAIN = "ai.onnx";

/**
 * The bytes of an ONNX file. The same model gives the same bytes: fields, attributes and metadata stand in the
 * order of the model's own properties, and nothing else (time, host) goes in.
 */
export function encodeModel(model: Model): Uint8Array<ArrayBuffer> {
  const writer = new WireWriter();
  writer.int(1, model.irVersion);
  writer.string(2, model.producerName);
  writer.message(7, (graph) => writeGraph(graph, model.graph));
  for (const [domain, version] of Object.entries(model.opsets)) {
    writer.message(8, (opset) => {
      opset.string(1, domain === DEFAULT_DOMAIN ? "" : domain);
      opset.int(2, version);
    });
  }
  for (const [key, value] of Object.entries(model.metadata)) {
    writer.message(14, (entry) => {
      entry.string(1, key);
      entry.string(2, value);
    });
  }
  return writer.finish();
}

function writeGraph(writer: WireWriter, graph: Graph): void {
  for (const node of graph.nodes) writer.message(1, (child) => writeNode(child, node));
  writer.string(2, graph.name);
  for (const tensor of graph.initializers) writer.message(5, (child) => writeTensor(child, tensor));
  for (const input of graph.inputs) writer.message(11, (child) => writeValueInfo(child, input));
  for (const output of graph.outputs) writer.message(12, (child) => writeValueInfo(child, output));
}

/** One of the messages of a graph, for who changes a file that is there. */
export function writeNode(writer: WireWriter, node: Node): void {
  for (const input of node.inputs) writer.string(1, input);
  for (const output of node.outputs) writer.string(2, output);
  writer.string(4, node.op);
  for (const [name, attribute] of Object.entries(node.attributes ?? {})) {
    writer.message(5, (child) => writeAttribute(child, name, attribute));
  }
  if (node.domain !== undefined && node.domain !== DEFAULT_DOMAIN) writer.string(7, node.domain);
}

/** Numbers of `AttributeProto.AttributeType`. */
const ATTRIBUTE_TYPE = {
  float: 1,
  int: 2,
  string: 3,
  tensor: 4,
  graph: 5,
  floats: 6,
  ints: 7,
  strings: 8,
} as const;

function writeAttribute(writer: WireWriter, name: string, attribute: Attribute): void {
  writer.string(1, name);
  if ("float" in attribute) {
    writer.float(2, attribute.float);
    writer.int(20, ATTRIBUTE_TYPE.float);
  } else if ("int" in attribute) {
    writer.int(3, attribute.int);
    writer.int(20, ATTRIBUTE_TYPE.int);
  } else if ("string" in attribute) {
    writer.string(4, attribute.string);
    writer.int(20, ATTRIBUTE_TYPE.string);
  } else if ("tensor" in attribute) {
    writer.message(5, (child) => writeTensor(child, attribute.tensor));
    writer.int(20, ATTRIBUTE_TYPE.tensor);
  } else if ("graph" in attribute) {
    writer.message(6, (child) => writeGraph(child, attribute.graph));
    writer.int(20, ATTRIBUTE_TYPE.graph);
  } else if ("floats" in attribute) {
    writer.packedFloats(7, attribute.floats);
    writer.int(20, ATTRIBUTE_TYPE.floats);
  } else if ("ints" in attribute) {
    writer.packedInts(8, attribute.ints);
    writer.int(20, ATTRIBUTE_TYPE.ints);
  } else {
    for (const text of attribute.strings) writer.string(9, text);
    writer.int(20, ATTRIBUTE_TYPE.strings);
  }
}

/** One of the messages of a graph, for who changes a file that is there. */
export function writeTensor(writer: WireWriter, tensor: Tensor): void {
  const elements = tensor.dims.reduce((product, dim) => product * dim, 1);
  if (elements !== tensor.data.length) {
    throw new RangeError(
      `Cannot write the tensor "${tensor.name}": the shape [${tensor.dims}] needs ${elements} elements, it has ${tensor.data.length}`,
    );
  }
  writer.packedInts(1, tensor.dims);
  writer.int(2, ELEMENT_TYPE[tensor.type]);
  writer.string(8, tensor.name);
  writer.bytes(9, littleEndianBytes(tensor));
}

function littleEndianBytes(tensor: Tensor): Uint8Array {
  const bytes = new Uint8Array(tensor.data.byteLength);
  const view = new DataView(bytes.buffer);
  switch (tensor.type) {
    case "float":
      tensor.data.forEach((value, index) => view.setFloat32(index * 4, value, true));
      break;
    case "double":
      tensor.data.forEach((value, index) => view.setFloat64(index * 8, value, true));
      break;
    case "uint8":
      bytes.set(tensor.data);
      break;
    case "int64":
      tensor.data.forEach((value, index) => view.setBigInt64(index * 8, value, true));
      break;
  }
  return bytes;
}

/** One of the messages of a graph, for who changes a file that is there. */
export function writeValueInfo(writer: WireWriter, info: ValueInfo): void {
  writer.string(1, info.name);
  writer.message(2, (type) =>
    type.message(1, (tensorType) => {
      tensorType.int(1, ELEMENT_TYPE[info.type]);
      tensorType.message(2, (shape) => {
        for (const dim of info.dims) {
          shape.message(1, (dimension) => {
            if (typeof dim === "number") dimension.int(1, dim);
            else dimension.string(2, dim);
          });
        }
      });
    }));
}
