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
const COMMA = byteOf(",");
/** Decimals of a number that is written digit by digit. */
const DECIMALS = 6;
const SCALE = 10 ** DECIMALS;
/** So that a scaled number is a small integer to V8, on machines with pointers of 31 bits too. */
const MAX_SCALED = 2 ** 30;
/** The longest text of a number, such as -1.2345678901234567e-308. */
const MAX_NUMBER_LENGTH = 32;
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
    const scaled = Math.round(value * SCALE);
    // The quotient is the float64 that is nearest to these decimals, so that who reads them gets the same number.
    if (Math.abs(scaled) < MAX_SCALED && scaled / SCALE === value) this.#decimals(scaled);
    else this.ascii(Number.isFinite(value) ? `${value}` : "null");
  }

  /** Values with commas between them, each as `JSON.stringify` gives it; `undefined` is null. */
  values(list: ArrayLike<unknown>, from: number, to: number): void {
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

  /** Forgets what was written from there on. */
  truncate(length: number): void {
    this.#length = length;
  }

  /** Forgets what stands between two places. */
  cut(from: number, to: number): void {
    this.#buffer.copyWithin(from, to, this.#length);
    this.#length -= to - from;
  }

  /** A copy of all that is written, which is forgotten here. */
  take(): Uint8Array {
    const taken = this.#buffer.slice(0, this.#length);
    this.#length = 0;
    return taken;
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
