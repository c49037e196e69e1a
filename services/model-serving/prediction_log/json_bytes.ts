/**
 * JSON as bytes, written in order into one buffer: what is the same for many records is put into bytes once and copied,
 * and numbers become digits without a text between. Nothing of it is garbage, which is what texts cost most by.
 *
 * @module
 */
import { MAX_NUMBER_LENGTH, writeFloat32, writeNumber } from "./number_digits.ts";

const encoder = new TextEncoder();

/** A text as it may be written over and over. */
export const toBytes = (text: string): Uint8Array => encoder.encode(text);

const NULL = toBytes("null");
const byteOf = (character: string): number => character.charCodeAt(0);
const COMMA = byteOf(",");
const OPEN_LIST = byteOf("[");
const CLOSE_LIST = byteOf("]");
const FIRST_SIZE = 16 * 1024;

export class JsonBytes {
  #buffer = new Uint8Array(FIRST_SIZE);
  #length = 0;

  /** Bytes that are written and not taken. */
  get length(): number {
    return this.#length;
  }

  /** Bytes that may be written before it takes more memory. */
  get capacity(): number {
    return this.#buffer.length;
  }

  /** JSON that is written already. */
  text(json: string): void {
    // A character has at most three bytes.
    this.#makeRoom(json.length * 3);
    this.#length += encoder.encodeInto(json, this.#buffer.subarray(this.#length)).written;
  }

  /** Short JSON of ASCII alone, such as a number or an id. */
  ascii(json: string): void {
    this.#makeRoom(json.length);
    const buffer = this.#buffer;
    let at = this.#length;
    for (let index = 0; index < json.length; index++) buffer[at++] = json.charCodeAt(index);
    this.#length = at;
  }

  bytes(json: Uint8Array): void {
    this.#makeRoom(json.length);
    const buffer = this.#buffer;
    let at = this.#length;
    for (let index = 0; index < json.length; index++) buffer[at++] = json[index]!;
    this.#length = at;
  }

  /** A number as `JSON.stringify` gives it: null when it is none. */
  number(value: number): void {
    this.#makeRoom(MAX_NUMBER_LENGTH);
    this.#length = writeNumber(this.#buffer, this.#length, value);
  }

  /** Values with commas between them, each as `JSON.stringify` gives it; `undefined` is null. */
  values(list: ArrayLike<unknown>, from: number, to: number): void {
    // A loop that sees lists of several kinds takes three times as long.
    if (list instanceof Float64Array) return this.#float64s(list, from, to);
    if (list instanceof Float32Array) return this.#wideFloat32s(list, from, to);
    for (let index = from; index < to; index++) {
      if (index > from) {
        this.#makeRoom(1);
        this.#buffer[this.#length++] = COMMA;
      }
      const value = list[index];
      if (typeof value === "number") this.number(value);
      else if (value === null || value === undefined) this.bytes(NULL);
      else this.text(JSON.stringify(value));
    }
  }

  /** Numbers with commas between them, each by digits that round to it and to no other float32. */
  float32s(list: Float32Array, from: number, to: number): void {
    this.#makeRoom((to - from) * (MAX_NUMBER_LENGTH + 1));
    const buffer = this.#buffer;
    let at = this.#length;
    for (let index = from; index < to; index++) {
      if (index > from) buffer[at++] = COMMA;
      at = writeFloat32(buffer, at, list[index]!);
    }
    this.#length = at;
  }

  /** Of columns of numbers the rows from one to the one before another, as lists with commas between them. */
  rowsOfColumns(columns: readonly (readonly number[])[], from: number, to: number): void {
    const most = columns.length * (MAX_NUMBER_LENGTH + 1) + 2;
    for (let row = from; row < to; row++) {
      this.#makeRoom(most);
      const buffer = this.#buffer;
      let at = this.#length;
      if (row > from) buffer[at++] = COMMA;
      for (let column = 0; column < columns.length; column++) {
        buffer[at++] = column > 0 ? COMMA : OPEN_LIST;
        at = writeNumber(buffer, at, columns[column]![row]!);
      }
      buffer[at++] = CLOSE_LIST;
      this.#length = at;
    }
  }

  /** Forgets what was written from there on. */
  truncate(length: number): void {
    this.#length = length;
  }

  /** Forgets what stands between two places. */
  cut(from: number, to: number): void {
    this.#buffer.copyWithin(from, to, this.#length);
    this.#length -= to - from;
  }

  /** All that is written, as it lies here: until something else is. */
  view(): Uint8Array {
    return this.#buffer.subarray(0, this.#length);
  }

  #float64s(list: Float64Array, from: number, to: number): void {
    this.#makeRoom((to - from) * (MAX_NUMBER_LENGTH + 1));
    const buffer = this.#buffer;
    let at = this.#length;
    for (let index = from; index < to; index++) {
      if (index > from) buffer[at++] = COMMA;
      at = writeNumber(buffer, at, list[index]!);
    }
    this.#length = at;
  }

  /** By all the digits that they have as float64. */
  #wideFloat32s(list: Float32Array, from: number, to: number): void {
    this.#makeRoom((to - from) * (MAX_NUMBER_LENGTH + 1));
    const buffer = this.#buffer;
    let at = this.#length;
    for (let index = from; index < to; index++) {
      if (index > from) buffer[at++] = COMMA;
      at = writeNumber(buffer, at, list[index]!);
    }
    this.#length = at;
  }

  #makeRoom(bytes: number): void {
    const needed = this.#length + bytes;
    if (needed <= this.#buffer.length) return;
    const larger = new Uint8Array(Math.max(needed, this.#buffer.length * 2));
    larger.set(this.#buffer.subarray(0, this.#length));
    this.#buffer = larger;
  }
}
