/**
 * The part of the ONNX format that this platform writes, as plain data. Names follow the format's own messages
 * (ModelProto, GraphProto, NodeProto ...), so that the specification reads beside it; what is not needed is left
 * out.
 *
 * @module
 */

/** Element types of tensors, by their number in `TensorProto.DataType`. */
export const ELEMENT_TYPE = {
  float: 1,
  uint8: 2,
  int8: 3,
  uint16: 4,
  int16: 5,
  int32: 6,
  int64: 7,
  string: 8,
  bool: 9,
  float16: 10,
  double: 11,
  uint32: 12,
  uint64: 13,
} as const;
export type ElementType = keyof typeof ELEMENT_TYPE;

/** A constant. The number of elements is the product of `dims` (1 for a scalar, whose `dims` are empty). */
export type Tensor =
  & { name: string; dims: readonly number[] }
  & (
    | { type: "float"; data: Float32Array }
    | { type: "double"; data: Float64Array }
    | { type: "uint8"; data: Uint8Array }
    | { type: "int64"; data: BigInt64Array }
  );

/** The value of a node's attribute, tagged with its type. */
export type Attribute =
  | { float: number }
  | { int: number }
  | { string: string }
  | { tensor: Tensor }
  | { graph: Graph }
  | { floats: ArrayLike<number> }
  | { ints: ArrayLike<number> }
  | { strings: readonly string[] };

/** One operator call; it reads and writes values by their names. */
export interface Node {
  /** Operator name, such as `MatMul`. */
  op: string;
  /** Operator set; default: `ai.onnx`. */
  domain?: string;
  inputs: readonly string[];
  outputs: readonly string[];
  attributes?: Readonly<Record<string, Attribute>>;
}

/** Name, element type and shape of a graph's input or output; a dimension given as text is dynamic. */
export interface ValueInfo {
  name: string;
  type: ElementType;
  dims: readonly (number | string)[];
}

export interface Graph {
  name: string;
  /** In an order in which every value is written before it is read. */
  nodes: readonly Node[];
  initializers: readonly Tensor[];
  inputs: readonly ValueInfo[];
  outputs: readonly ValueInfo[];
}

export interface Model {
  /** Version of the file format. */
  irVersion: number;
  producerName: string;
  /** Version of each operator set used, by domain (`ai.onnx`, `ai.onnx.ml`). */
  opsets: Readonly<Record<string, number>>;
  graph: Graph;
  /** Free text beside the graph. */
  metadata: Readonly<Record<string, string>>;
}
