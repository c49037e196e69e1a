/**
 * The protobuf wire format, as far as ONNX uses it: varints, 32-bit and 64-bit little-endian numbers, and
 * length-delimited fields.
 *
 * @module
 */
import { invalid } from "../errors.ts";

export const WIRE_TYPE = { varint: 0, fixed64: 1, bytes: 2, fixed32: 5 } as const;

const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { fatal: true });

/** Collects one message; fields appear in the order of the calls, so equal calls give equal bytes. */
export class WireWriter {
  #bytes = new Uint8Array(256);
  #length = 0;

  /** An integer field; a negative one takes ten bytes, as the format demands. */
  int(field: number, value: number): void {
    this.#tag(field, WIRE_TYPE.varint);
    this.#varint(value);
  }

  float(field: number, value: number): void {
    this.#tag(field, WIRE_TYPE.fixed32);
    const at = this.#reserve(4);
    new DataView(this.#bytes.buffer).setFloat32(at, value, true);
  }

  string(field: number, value: string): void {
    this.bytes(field, encoder.encode(value));
  }

  bytes(field: number, value: Uint8Array): void {
    this.#tag(field, WIRE_TYPE.bytes);
    this.#varint(value.length);
    const at = this.#reserve(value.length);
    this.#bytes.set(value, at);
  }

  /** A field as it was read. */
  copy({ number, wireType, value, bytes }: WireField): void {
    if (wireType === WIRE_TYPE.varint) return this.int(number, value);
    if (wireType === WIRE_TYPE.bytes) return this.bytes(number, bytes);
    this.#tag(number, wireType);
    const at = this.#reserve(bytes.length);
    this.#bytes.set(bytes, at);
  }

  /** A nested message, written by `write`. */
  message(field: number, write: (writer: WireWriter) => void): void {
    const child = new WireWriter();
    write(child);
    this.bytes(field, child.finish());
  }

  /** Repeated integers in one length-delimited field. */
  packedInts(field: number, values: ArrayLike<number>): void {
    const child = new WireWriter();
    for (let i = 0; i < values.length; i++) child.#varint(values[i]!);
    this.bytes(field, child.finish());
  }

  /** Repeated 32-bit floats in one length-delimited field. */
  packedFloats(field: number, values: ArrayLike<number>): void {
    const bytes = new Uint8Array(values.length * 4);
    const view = new DataView(bytes.buffer);
    for (let i = 0; i < values.length; i++) view.setFloat32(i * 4, values[i]!, true);
    this.bytes(field, bytes);
  }

  finish(): Uint8Array<ArrayBuffer> {
    return this.#bytes.slice(0, this.#length);
  }

  #tag(field: number, wireType: number): void {
    this.#varint(field * 8 + wireType);
  }

  #varint(value: number): void {
    if (!Number.isSafeInteger(value)) {
      throw new RangeError(`Cannot write a protobuf integer: ${value} is not a safe integer`);
    }
    if (value < 0) return this.#negativeVarint(value);
    while (value >= 128) {
      // Arithmetic instead of bit operations, which would cut the value to 32 bits.
      this.#byte((value % 128) + 128);
      value = Math.floor(value / 128);
    }
    this.#byte(value);
  }

  #negativeVarint(value: number): void {
    let rest = BigInt.asUintN(64, BigInt(value));
    while (rest >= 128n) {
      this.#byte(Number(rest & 127n) + 128);
      rest >>= 7n;
    }
    this.#byte(Number(rest));
  }

  #byte(value: number): void {
    // First the place: making room may replace the buffer.
    const at = this.#reserve(1);
    this.#bytes[at] = value;
  }

  #reserve(count: number): number {
    const at = this.#length;
    this.#length += count;
    if (this.#length > this.#bytes.length) {
      const larger = new Uint8Array(Math.max(this.#length, this.#bytes.length * 2));
      larger.set(this.#bytes);
      this.#bytes = larger;
    }
    return at;
  }
}

/** One field as it stands on the wire: a number (varint), or the bytes of everything else. */
export interface WireField {
  number: number;
  wireType: number;
  /** The value of a varint, as a signed 64-bit integer; 0 for other wire types. */
  value: number;
  /** The content of a length-delimited or fixed-size field, without copying; empty for a varint. */
  bytes: Uint8Array;
}

const NO_BYTES = new Uint8Array(0);

/**
 * The fields of one message, in the order of the file. Every length is checked against what is there before it is
 * used, so that a cut or forged file costs nothing.
 *
 * @throws {AppError} `invalid` when the bytes are not a protobuf message
 */
export function* readFields(bytes: Uint8Array): Generator<WireField> {
  let at = 0;

  const varint = (): number => {
    let low = 0;
    let high = 0;
    for (let index = 0; index < 10; index++) {
      const byte = bytes[at++];
      if (byte === undefined) throw cut();
      const part = byte & 127;
      if (index < 4) low += part * 2 ** (7 * index);
      else high += part * 2 ** (7 * (index - 4));
      if (byte < 128) return toSigned(low, high);
    }
    throw invalid("Cannot read the ONNX file: a number has more than ten bytes");
  };

  const take = (length: number): Uint8Array => {
    if (length < 0 || length > bytes.length - at) {
      throw invalid(
        `Cannot read the ONNX file: a field says it has ${length} bytes, but ${bytes.length - at} are left`,
      );
    }
    const from = at;
    at += length;
    return bytes.subarray(from, at);
  };

  while (at < bytes.length) {
    const tag = varint();
    const number = Math.floor(tag / 8);
    const wireType = tag % 8;
    if (number < 1) throw invalid(`Cannot read the ONNX file: ${number} is not a field number`);
    switch (wireType) {
      case WIRE_TYPE.varint:
        yield { number, wireType, value: varint(), bytes: NO_BYTES };
        break;
      case WIRE_TYPE.fixed64:
        yield { number, wireType, value: 0, bytes: take(8) };
        break;
      case WIRE_TYPE.bytes:
        yield { number, wireType, value: 0, bytes: take(varint()) };
        break;
      case WIRE_TYPE.fixed32:
        yield { number, wireType, value: 0, bytes: take(4) };
        break;
      default:
        throw invalid(`Cannot read the ONNX file: ${wireType} is not a protobuf wire type ONNX uses`);
    }
  }
}

/** The text of a length-delimited field. @throws {AppError} `invalid` when it is not UTF-8 */
export function readText(field: WireField): string {
  if (field.wireType !== WIRE_TYPE.bytes) throw wrongType(field, "text");
  try {
    return decoder.decode(field.bytes);
  } catch (error) {
    throw invalid(`Cannot read the ONNX file: the text in field ${field.number} is not UTF-8 (${error})`);
  }
}

/** The nested message of a field, as bytes for {@link readFields}. */
export function readMessage(field: WireField): Uint8Array {
  if (field.wireType !== WIRE_TYPE.bytes) throw wrongType(field, "a message");
  return field.bytes;
}

/** The value of an integer field. */
export function readInt(field: WireField): number {
  if (field.wireType !== WIRE_TYPE.varint) throw wrongType(field, "an integer");
  return field.value;
}

function toSigned(low: number, high: number): number {
  // `low` holds 28 bits and `high` up to 42 of which 36 count: two's complement of 64 bits in all.
  const kept = high % 2 ** 36;
  const signed = kept >= 2 ** 35 ? kept - 2 ** 36 : kept;
  const value = signed * 2 ** 28 + low;
  if (!Number.isSafeInteger(value)) {
    throw invalid("Cannot read the ONNX file: an integer is larger than 2^53");
  }
  return value;
}

const cut = () => invalid("Cannot read the ONNX file: it ends in the middle of a number");

const wrongType = (field: WireField, wanted: string) =>
  invalid(
    `Cannot read the ONNX file: field ${field.number} must be ${wanted}, but has wire type ${field.wireType}`,
  );
