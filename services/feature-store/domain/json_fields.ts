/**
 * Fields of records, read out of their JSON text as columns: no object is made of a record, and no number is boxed.
 *
 * @module
 */
import type { FeatureValue } from "shared/contracts/feature_store.ts";
import type { RecordFields } from "./history.ts";

/** Records one after the other, each a JSON object of whose fields some are kept. */
export interface FieldTable {
  /** @param json an object, as PostgreSQL writes it */
  add(json: Uint8Array): void;
  /** The fields of the records from number `first` on. */
  from(first: number): RecordFields;
}

/** Which bytes a name has, quotes included, and which of the fields it is; -1: none. */
interface Name {
  bytes: Uint8Array;
  field: number;
}

const [QUOTE, BACKSLASH, MINUS, POINT, COMMA, COLON, SPACE] = [
  0x22,
  0x5c,
  0x2d,
  0x2e,
  0x2c,
  0x3a,
  0x20,
] as const;
const [ZERO, NINE] = [0x30, 0x39] as const;
const [OPEN_BRACE, CLOSE_BRACE, OPEN_BRACKET, CLOSE_BRACKET] = [0x7b, 0x7d, 0x5b, 0x5d] as const;
const [LETTER_T, LETTER_F] = [0x74, 0x66] as const;
/** So many digits are an integer without error. */
const EXACT_DIGITS = 15;
/** Powers of ten that are doubles without error, as many as a fraction of {@link EXACT_DIGITS} digits needs. */
const POWERS = Float64Array.from({ length: EXACT_DIGITS + 1 }, (_, power) => Number(`1e${power}`));
const FIRST_ROWS = 64;
const decoder = new TextDecoder();

export function createFieldTable(fields: readonly string[]): FieldTable {
  const width = fields.length;
  /** Row after row; NaN: what the field holds stands in `others`. */
  let numbers = new Float64Array(FIRST_ROWS * width).fill(NaN);
  /** By field: texts and booleans, by row. */
  const others: FeatureValue[][] = fields.map(() => []);
  /** Of the last record, in its order: the next one nearly always has the same. */
  const names: Name[] = [];
  let rows = 0;
  let bytes: Uint8Array = new Uint8Array();
  let at = 0;

  function readName(number: number): number {
    const expected = names[number];
    if (expected !== undefined && isNext(expected.bytes)) {
      at += expected.bytes.length;
      return expected.field;
    }
    const start = at;
    const name = readText();
    names[number] = { bytes: bytes.slice(start, at), field: fields.indexOf(name) };
    return names[number].field;
  }

  function isNext(expected: Uint8Array): boolean {
    for (let index = 0; index < expected.length; index++) {
      if (bytes[at + index] !== expected[index]) return false;
    }
    return true;
  }

  /** A string; `at` stands on its first quote, and afterwards behind its last one. */
  function readText(): string {
    const start = at;
    const isPlain = skipText();
    const text = decoder.decode(bytes.subarray(start, at));
    return isPlain ? text.slice(1, -1) : JSON.parse(text);
  }

  /** @returns whether it holds no escapes */
  function skipText(): boolean {
    let isPlain = true;
    for (at++; bytes[at] !== QUOTE; at++) {
      if (bytes[at] !== BACKSLASH) continue;
      isPlain = false;
      at++;
    }
    at++;
    return isPlain;
  }

  function readNumber(): number {
    const start = at;
    const isNegative = bytes[at] === MINUS;
    if (isNegative) at++;
    let digits = 0;
    let integer = 0;
    let fraction = -1;
    for (;; at++) {
      const byte = bytes[at]!;
      if (byte >= ZERO && byte <= NINE) {
        integer = integer * 10 + byte - ZERO;
        digits++;
        if (fraction >= 0) fraction++;
      } else if (byte === POINT) fraction = 0;
      else break;
    }
    const byte = bytes[at]!;
    const ends = byte === COMMA || byte === CLOSE_BRACE || byte === SPACE;
    // Two doubles without error: their quotient is the double nearest to the number.
    if (ends && digits <= EXACT_DIGITS) {
      const value = fraction > 0 ? integer / POWERS[fraction]! : integer;
      return isNegative ? -value : value;
    }
    while (!isEnd(bytes[at]!)) at++;
    return Number(decoder.decode(bytes.subarray(start, at)));
  }

  /** An object or an array is no value of a feature. */
  function skipNested(): void {
    for (let depth = 0;;) {
      const byte = bytes[at]!;
      if (byte === QUOTE) {
        skipText();
        continue;
      }
      if (byte === OPEN_BRACE || byte === OPEN_BRACKET) depth++;
      if (byte === CLOSE_BRACE || byte === CLOSE_BRACKET) depth--;
      at++;
      if (depth === 0) return;
    }
  }

  function readValue(field: number): void {
    const byte = bytes[at]!;
    if (byte === MINUS || (byte >= ZERO && byte <= NINE)) {
      const value = readNumber();
      if (field >= 0 && Number.isFinite(value)) numbers[rows * width + field] = value;
    } else if (byte === QUOTE) {
      if (field >= 0) others[field]![rows] = readText();
      else skipText();
    } else if (byte === OPEN_BRACE || byte === OPEN_BRACKET) {
      skipNested();
    } else {
      if (field >= 0 && (byte === LETTER_T || byte === LETTER_F)) others[field]![rows] = byte === LETTER_T;
      while (!isEnd(bytes[at]!)) at++;
    }
  }

  function skip(separator: number): void {
    while (bytes[at] === SPACE || bytes[at] === separator) at++;
  }

  return {
    add(json) {
      if ((rows + 1) * width > numbers.length) numbers = doubled(numbers);
      bytes = json;
      at = 1;
      for (let number = 0;; number++) {
        skip(COMMA);
        if (bytes[at] === CLOSE_BRACE) break;
        const field = readName(number);
        skip(COLON);
        readValue(field);
      }
      rows++;
    },
    from: (first) => ({
      value(field, position) {
        const row = first + position;
        const number = numbers[row * width + field]!;
        return Number.isNaN(number) ? others[field]![row] ?? null : number;
      },
    }),
  };
}

function isEnd(byte: number): boolean {
  return byte === COMMA || byte === CLOSE_BRACE || byte === SPACE;
}

function doubled(numbers: Float64Array<ArrayBuffer>): Float64Array<ArrayBuffer> {
  const larger = new Float64Array(numbers.length * 2).fill(NaN);
  larger.set(numbers);
  return larger;
}
