/**
 * JSON as bytes, written in order into one buffer: what is the same for many records is put into bytes once and copied,
 * and numbers become digits without a text between. Nothing of it is garbage, which is what texts cost most by.
 *
 * @module
 */

const encoder = new TextEncoder();

/** A text as it may be written over and over. */
export const toBytes = (text: string): Uint8Array => encoder.encode(text);

const NULL = toBytes("null");
const byteOf = (character: string): number => character.charCodeAt(0);
const MINUS = byteOf("-");
const POINT = byteOf(".");
const ZERO = byteOf("0");
const OPEN = byteOf("[");
const CLOSE = byteOf("]");
/** Decimals of a number that is written digit by digit. */
const DECIMALS = 6;
const SCALE = 10 ** DECIMALS;
/** So that a scaled number is a small integer to V8, on machines with pointers of 31 bits too. */
const MAX_SCALED = 2 ** 30;
/** The longest text of a number, such as -1.2345678901234567e-308. */
const MAX_NUMBER_LENGTH = 32;

export class JsonBytes {
  #buffer = new Uint8Array(16 * 1024);
  #length = 0;

  /** Bytes that are written and not taken. */
  get length(): number {
    return this.#length;
  }

  /** JSON that is written already. */
  text(json: string): void {
    // A character has at most three bytes.
    this.#makeRoom(json.length * 3);
    this.#length += encoder.encodeInto(json, this.#buffer.subarray(this.#length)).written;
  }

  bytes(json: Uint8Array): void {
    this.#makeRoom(json.length);
    this.#buffer.set(json, this.#length);
    this.#length += json.length;
  }

  /** What was written before, once more. */
  again(from: number, to: number): void {
    this.#makeRoom(to - from);
    this.#buffer.copyWithin(this.#length, from, to);
    this.#length += to - from;
  }

  /** A value as `JSON.stringify` gives it; `undefined` is null. */
  value(value: unknown): void {
    if (typeof value === "number") this.#number(value);
    else if (value === null || value === undefined) this.bytes(NULL);
    else this.text(JSON.stringify(value));
  }

  /**
   * The values up to there, each of which was written with a comma before it, as a list; what was written after them
   * moves to the beginning.
   */
  takeList(upTo: number): Uint8Array {
    const list = new Uint8Array(upTo + 1);
    list.set(this.#buffer.subarray(0, upTo));
    list[0] = OPEN;
    list[upTo] = CLOSE;
    this.#buffer.copyWithin(0, upTo, this.#length);
    this.#length -= upTo;
    return list;
  }

  #number(value: number): void {
    const scaled = Math.round(value * SCALE);
    // The quotient is the float64 that is nearest to these decimals, so that who reads them gets the same number.
    if (Math.abs(scaled) < MAX_SCALED && scaled / SCALE === value) this.#decimals(scaled);
    else this.text(Number.isFinite(value) ? `${value}` : "null");
  }

  #decimals(scaled: number): void {
    this.#makeRoom(MAX_NUMBER_LENGTH);
    const buffer = this.#buffer;
    let at = this.#length;
    let left = scaled;
    if (left < 0) {
      buffer[at++] = MINUS;
      left = -left;
    }
    let step = SCALE;
    while (left >= step * 10) step *= 10;
    for (; step >= 1 && (left > 0 || step >= SCALE); step = step / 10 | 0) {
      if (step === SCALE / 10) buffer[at++] = POINT;
      const digit = left / step | 0;
      buffer[at++] = ZERO + digit;
      left -= digit * step;
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
