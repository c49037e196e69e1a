/**
 * Tensors of the Open Inference Protocol, version 2: as JSON, and as bytes behind the JSON (its binary tensor data
 * extension).
 *
 * @module
 */
import type { Reason } from "shared/errors.ts";

/** What is known of a tensor before its values are looked at. */
export interface TensorHead {
  name: string;
  datatype: string;
  shape: readonly number[];
}

export interface Tensor extends TensorHead {
  /** As many as the product of the shape. */
  values: ArrayLike<number | string | boolean>;
  /** Whether they came as a list of rows, each a list. */
  isNested: boolean;
}

/** How the bytes of each numeric type are read; the format is little-endian, as is every machine that Deno runs on. */
const BINARY: Readonly<
  Record<string, { size: number; read: (bytes: Uint8Array) => ArrayLike<number | bigint> }>
> = {
  BOOL: { size: 1, read: (bytes) => bytes },
  UINT8: { size: 1, read: (bytes) => bytes },
  INT8: { size: 1, read: (bytes) => new Int8Array(aligned(bytes)) },
  UINT16: { size: 2, read: (bytes) => new Uint16Array(aligned(bytes)) },
  INT16: { size: 2, read: (bytes) => new Int16Array(aligned(bytes)) },
  UINT32: { size: 4, read: (bytes) => new Uint32Array(aligned(bytes)) },
  INT32: { size: 4, read: (bytes) => new Int32Array(aligned(bytes)) },
  FP32: { size: 4, read: (bytes) => new Float32Array(aligned(bytes)) },
  FP16: { size: 2, read: (bytes) => new Float16Array(aligned(bytes)) },
  // The upper half of a float32.
  BF16: {
    size: 2,
    read: (bytes) =>
      new Float32Array(Uint32Array.from(new Uint16Array(aligned(bytes)), (half) => half << 16).buffer),
  },
  UINT64: { size: 8, read: (bytes) => new BigUint64Array(aligned(bytes)) },
  INT64: { size: 8, read: (bytes) => new BigInt64Array(aligned(bytes)) },
  FP64: { size: 8, read: (bytes) => new Float64Array(aligned(bytes)) },
};

export const DATATYPES: readonly string[] = [...Object.keys(BINARY), "BYTES"];

/** A copy that a typed array can lie on. */
const aligned = (bytes: Uint8Array): ArrayBuffer => bytes.slice().buffer as ArrayBuffer;

const elementsOf = (shape: readonly number[]) => shape.reduce((product, dim) => product * dim, 1);

/** Reads values that stand in the JSON, flat or row by row. */
export function readJsonValues(head: TensorHead, data: unknown, path: string): Tensor | Reason {
  if (!Array.isArray(data)) return { path, message: "must be a list of values" };
  const isNested = holdsLists(data);
  const [rows = 0, columns = 1] = head.shape;
  const elements = isNested ? rows : elementsOf(head.shape);
  if (data.length !== elements) {
    const unit = isNested ? "rows" : "values";
    return { path, message: `has ${data.length} ${unit}, and the shape [${head.shape}] needs ${elements}` };
  }
  if (!isNested) return { ...head, values: data, isNested };
  const odd = data.findIndex((row) => !Array.isArray(row) || row.length !== columns);
  if (odd >= 0) {
    return {
      path: `${path}/${odd}`,
      message: `must be a list of ${columns} values: the shape is [${head.shape}]`,
    };
  }
  // A shape has two dimensions at most: what is nested deeper is no value.
  return { ...head, values: data.flat(), isNested };
}

/** By a loop: a function that is called for each number makes an object of it. */
function holdsLists(data: readonly unknown[]): boolean {
  for (let index = 0; index < data.length; index++) {
    const value = data[index];
    if (typeof value === "object" && Array.isArray(value)) return true;
  }
  return false;
}

const decoder = new TextDecoder("utf-8", { fatal: true });

/** Reads values that stand in the bytes behind the JSON. */
export function readBinaryValues(head: TensorHead, bytes: Uint8Array, path: string): Tensor | Reason {
  const elements = elementsOf(head.shape);
  if (head.datatype === "BYTES") return readTexts(head, bytes, path, elements);
  const { size, read } = BINARY[head.datatype]!;
  if (bytes.length !== elements * size) {
    return {
      path,
      message: `has ${bytes.length} bytes, and [${head.shape}] of ${head.datatype} needs ${elements * size}`,
    };
  }
  const values = read(bytes);
  const isWide = values instanceof BigInt64Array || values instanceof BigUint64Array;
  return {
    ...head,
    values: isWide ? Float64Array.from(values, Number) : values as ArrayLike<number>,
    isNested: false,
  };
}

/** Each text has its length in four bytes before it. */
function readTexts(head: TensorHead, bytes: Uint8Array, path: string, elements: number): Tensor | Reason {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const values: string[] = [];
  for (let at = 0; at < bytes.length;) {
    const length = at + 4 <= bytes.length ? view.getUint32(at, true) : Infinity;
    if (at + 4 + length > bytes.length) return { path, message: "ends in the middle of a text" };
    try {
      values.push(decoder.decode(bytes.subarray(at + 4, at + 4 + length)));
    } catch {
      return { path, message: "holds a text that is not UTF-8" };
    }
    at += 4 + length;
  }
  if (values.length !== elements) {
    return { path, message: `has ${values.length} texts, and the shape [${head.shape}] needs ${elements}` };
  }
  return { ...head, values, isNested: false };
}

const encoder = new TextEncoder();

/** Texts as bytes, each with its length before it. */
export function textBytes(texts: readonly string[]): Uint8Array {
  const encoded = texts.map((text) => encoder.encode(text));
  const bytes = new Uint8Array(encoded.reduce((sum, { length }) => sum + 4 + length, 0));
  const view = new DataView(bytes.buffer);
  let at = 0;
  for (const text of encoded) {
    view.setUint32(at, text.length, true);
    bytes.set(text, at + 4);
    at += 4 + text.length;
  }
  return bytes;
}
