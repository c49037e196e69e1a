/** Reading a graph whole: calls, attributes and constants, as {@link encodeModel} takes them. @module */
import { invalid, tooLarge } from "../errors.ts";
import type { Attribute } from "./model_proto.ts";
import { readFields, readInt, readMessage, readText, WIRE_TYPE, type WireField } from "./wire.ts";

/** A constant that the reader unpacks; others are told by their type alone. */
export interface ReadTensor {
  name: string;
  dims: number[];
  /** Empty for a type that is not unpacked (texts, halves, booleans). */
  data: Float32Array | Float64Array | BigInt64Array | Uint8Array | Int32Array;
}

/** As {@link Attribute}, with tensors as they were read; `undefined` for graphs and the like. */
export type ReadAttribute =
  | Exclude<Attribute, { tensor: unknown } | { graph: unknown }>
  | { tensor: ReadTensor }
  | undefined;

export interface ReadNode {
  op: string;
  domain: string;
  inputs: string[];
  outputs: string[];
  attributes: ReadonlyMap<string, ReadAttribute>;
}

export interface ReadGraph {
  nodes: ReadNode[];
  initializers: ReadonlyMap<string, ReadTensor>;
}

const MAX_NODES = 100_000;
/**
 * Most values of all lists that are not raw bytes: as few as one byte each in the file, they are eight in memory. Trees
 * of 1.5 million nodes have as many.
 */
const MAX_VALUES = 16_777_216;

/** Counts the values that a file still may have. */
class Room {
  #left = MAX_VALUES;

  take(values: number): void {
    this.#left -= values;
    if (this.#left >= 0) return;
    throw tooLarge(`Cannot read the ONNX file: its lists have more than ${MAX_VALUES} values`);
  }
}

/**
 * The top graph of an ONNX file; bodies of branches and loops are not read.
 *
 * @throws {AppError} `invalid` when it is cut or is no ONNX file, `too_large` beyond a limit
 */
export function readGraph(bytes: Uint8Array): ReadGraph {
  for (const field of readFields(bytes)) {
    if (field.number === 7) return graphOf(readMessage(field), new Room());
  }
  throw invalid("Cannot read the ONNX file: it has no graph");
}

function graphOf(bytes: Uint8Array, room: Room): ReadGraph {
  const nodes: ReadNode[] = [];
  const initializers = new Map<string, ReadTensor>();
  for (const field of readFields(bytes)) {
    if (field.number === 1) {
      if (nodes.length >= MAX_NODES) {
        throw tooLarge(`Cannot read the ONNX file: it has more than ${MAX_NODES} operator calls`);
      }
      nodes.push(nodeOf(readMessage(field), room));
    }
    if (field.number === 5) {
      const tensor = tensorOf(readMessage(field), room);
      initializers.set(tensor.name, tensor);
    }
  }
  return { nodes, initializers };
}

function nodeOf(bytes: Uint8Array, room: Room): ReadNode {
  const attributes = new Map<string, ReadAttribute>();
  const node: ReadNode = { op: "", domain: "ai.onnx", inputs: [], outputs: [], attributes };
  for (const field of readFields(bytes)) {
    switch (field.number) {
      case 1:
        room.take(1);
        node.inputs.push(readText(field));
        break;
      case 2:
        room.take(1);
        node.outputs.push(readText(field));
        break;
      case 4:
        node.op = readText(field);
        break;
      case 5: {
        const { name, value } = attributeOf(readMessage(field), room);
        attributes.set(name, value);
        break;
      }
      case 7:
        node.domain = readText(field) || "ai.onnx";
        break;
    }
  }
  return node;
}

/** Numbers of `AttributeProto.AttributeType`. */
const TYPE = { float: 1, int: 2, string: 3, tensor: 4, floats: 6, ints: 7, strings: 8 } as const;

function attributeOf(bytes: Uint8Array, room: Room): { name: string; value: ReadAttribute } {
  let name = "";
  let type = 0;
  let float = 0;
  let int = 0;
  let string = "";
  let tensor: ReadTensor | undefined;
  const floats: number[] = [];
  const ints: number[] = [];
  const strings: string[] = [];
  for (const field of readFields(bytes)) {
    switch (field.number) {
      case 1:
        name = readText(field);
        break;
      case 2:
        [float = 0] = floatsOf(field, room);
        break;
      case 3:
        int = readInt(field);
        break;
      case 4:
        string = readText(field);
        break;
      case 5:
        tensor = tensorOf(readMessage(field), room);
        break;
      case 7:
        for (const value of floatsOf(field, room)) floats.push(value);
        break;
      case 8:
        for (const value of intsOf(field, room)) ints.push(value);
        break;
      case 9:
        room.take(1);
        strings.push(readText(field));
        break;
      case 20:
        type = readInt(field);
        break;
    }
  }
  switch (type) {
    case TYPE.float:
      return { name, value: { float } };
    case TYPE.int:
      return { name, value: { int } };
    case TYPE.string:
      return { name, value: { string } };
    case TYPE.tensor:
      return { name, value: tensor && { tensor } };
    case TYPE.floats:
      return { name, value: { floats } };
    case TYPE.ints:
      return { name, value: { ints } };
    case TYPE.strings:
      return { name, value: { strings } };
  }
  return { name, value: undefined };
}

/** One number, or many packed into one field. */
function floatsOf(field: WireField, room: Room): Float32Array {
  if (field.wireType !== WIRE_TYPE.fixed32 && field.wireType !== WIRE_TYPE.bytes) {
    throw invalid(`Cannot read the ONNX file: field ${field.number} must be numbers`);
  }
  room.take(field.bytes.length / 4);
  return new Float32Array(aligned(field.bytes, 4));
}

function* intsOf(field: WireField, room: Room): Generator<number> {
  const values = field.wireType === WIRE_TYPE.varint ? [field.value] : packedInts(readMessage(field));
  for (const value of values) {
    room.take(1);
    yield value;
  }
}

/** Packed varints have no tags of their own. */
function* packedInts(bytes: Uint8Array): Generator<number> {
  for (let at = 0; at < bytes.length;) {
    const from = at;
    let value = 0;
    for (;;) {
      const byte = bytes[at++];
      if (byte === undefined || at - from > 10) {
        throw invalid("Cannot read the ONNX file: it ends in the middle of a number");
      }
      value += (byte & 127) * 2 ** (7 * (at - from - 1));
      if (byte < 128) break;
    }
    // Two's complement of 64 bits: the list is of small numbers, of which some may be negative.
    yield value >= 2 ** 63 ? value - 2 ** 64 : value;
  }
}

/** Unpacks the element types that models of tables are made of. */
function tensorOf(bytes: Uint8Array, room: Room): ReadTensor {
  let name = "";
  let type = 0;
  let raw: Uint8Array | undefined;
  const dims: number[] = [];
  const floats: number[] = [];
  const doubles: number[] = [];
  const ints: number[] = [];
  for (const field of readFields(bytes)) {
    switch (field.number) {
      case 1:
        for (const value of intsOf(field, room)) dims.push(value);
        break;
      case 2:
        type = readInt(field);
        break;
      case 4:
        for (const value of floatsOf(field, room)) floats.push(value);
        break;
      case 5:
      case 7:
        for (const value of intsOf(field, room)) ints.push(value);
        break;
      case 8:
        name = readText(field);
        break;
      case 9:
        raw = readMessage(field);
        break;
      case 10:
        room.take(field.bytes.length / 8);
        for (const value of new Float64Array(aligned(field.bytes, 8))) doubles.push(value);
        break;
    }
  }
  return { name, dims, data: elementsOf(type, { raw, floats, doubles, ints }) };
}

function elementsOf(
  type: number,
  { raw, floats, doubles, ints }: {
    raw: Uint8Array | undefined;
    floats: readonly number[];
    doubles: readonly number[];
    ints: readonly number[];
  },
): ReadTensor["data"] {
  switch (type) {
    case 1:
      return raw ? new Float32Array(aligned(raw, 4)) : Float32Array.from(floats);
    case 2:
      return raw ? raw.slice() : Uint8Array.from(ints);
    case 6:
      return raw ? new Int32Array(aligned(raw, 4)) : Int32Array.from(ints);
    case 7:
      return raw ? new BigInt64Array(aligned(raw, 8)) : BigInt64Array.from(ints.map(BigInt));
    case 11:
      return raw ? new Float64Array(aligned(raw, 8)) : Float64Array.from(doubles);
  }
  return new Uint8Array(0);
}

/** A copy that typed arrays can lie on: the format is little-endian, as is every machine that Deno runs on. */
function aligned(bytes: Uint8Array, size: number): ArrayBuffer {
  if (bytes.length % size !== 0) {
    throw invalid(`Cannot read the ONNX file: ${bytes.length} bytes are no numbers of ${size} bytes`);
  }
  return bytes.slice().buffer as ArrayBuffer;
}
