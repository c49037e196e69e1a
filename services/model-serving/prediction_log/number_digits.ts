/**
 * Numbers as digits in a buffer, without a text between: most that are measured have few digits, for which a product, a
 * quotient and a table are enough.
 *
 * @module
 */

/** The longest that is written of a number, such as -1.2345678901234567e-308. */
export const MAX_NUMBER_LENGTH = 32;

const byteOf = (character: string): number => character.charCodeAt(0);
const MINUS = byteOf("-");
const POINT = byteOf(".");
const ZERO = byteOf("0");

const MILLION = 1e6;
const HUNDRED = 100;
/** Nine digits tell a float32 from any other; of one below 0.1 nine decimals may be too few. */
const FLOAT32_SCALES = Array.from({ length: 10 }, (_, index) => 10 ** (9 - index));
/** So that a scaled number is a small integer to V8, on machines with pointers of 31 bits too. */
const MAX_SCALED = 2 ** 30;

/** The three digits of each number below a thousand, and how many of them are left without zeros at their end. */
const GROUP = 1_000;
const DIGITS = new Uint8Array(3 * GROUP);
const SIGNIFICANT = new Uint8Array(GROUP);
for (let group = 0; group < GROUP; group++) {
  const text = String(group).padStart(3, "0");
  for (let index = 0; index < 3; index++) DIGITS[3 * group + index] = byteOf(text[index]!);
  SIGNIFICANT[group] = text.replace(/0+$/, "").length;
}

/**
 * Writes digits that are read as the number again, or null where it is none, as `JSON.stringify` does.
 *
 * @param buffer has room for {@link MAX_NUMBER_LENGTH}
 * @returns where they end
 */
export function writeNumber(buffer: Uint8Array, at: number, value: number): number {
  const scaled = rounded(value * MILLION);
  // The quotient is the float64 that is nearest to these decimals, so that who reads them gets the same number.
  return Math.abs(scaled) < MAX_SCALED && scaled / MILLION === value
    ? writeMillionths(buffer, at, scaled | 0)
    : writeLonger(buffer, at, value);
}

/** Writes digits that round to the same float32, and to no other. */
export function writeFloat32(buffer: Uint8Array, at: number, value: number): number {
  const scaled = rounded(value * MILLION);
  return Math.abs(scaled) < MAX_SCALED && Math.fround(scaled / MILLION) === value
    ? writeMillionths(buffer, at, scaled | 0)
    : writeNineDigits(buffer, at, value);
}

/** A number from which on a float64 has no fraction. */
const WHOLE = 1.5 * 2 ** 52;

/** To the nearest whole number, of any below 2^51. */
const rounded = (value: number): number => value + WHOLE - WHOLE;

/** The divisors are no constants: by a literal the compiler multiplies instead, which takes a third of the time. */
function writeMillionths(buffer: Uint8Array, at: number, scaled: number): number {
  const sign = scaled >> 31;
  const size = (scaled ^ sign) - sign;
  // Not by a branch, which the processor would guess wrong for half of the numbers: where there is no minus, and behind
  // the last digit that counts, it is written over.
  buffer[at] = MINUS;
  let end = at - sign;
  const whole = size / 1_000_000 | 0;
  if (whole < 10) buffer[end++] = ZERO + whole;
  else end = writeWhole(buffer, end, whole);
  const millionths = size - whole * 1_000_000;
  if (millionths === 0) return end;
  const high = millionths / 1_000 | 0;
  const low = millionths - high * 1_000;
  buffer[end] = POINT;
  buffer[end + 1] = DIGITS[3 * high]!;
  buffer[end + 2] = DIGITS[3 * high + 1]!;
  buffer[end + 3] = DIGITS[3 * high + 2]!;
  buffer[end + 4] = DIGITS[3 * low]!;
  buffer[end + 5] = DIGITS[3 * low + 1]!;
  buffer[end + 6] = DIGITS[3 * low + 2]!;
  return end + 1 + (low === 0 ? SIGNIFICANT[high]! : 3 + SIGNIFICANT[low]!);
}

function writeWhole(buffer: Uint8Array, at: number, whole: number): number {
  const thousands = whole / 1_000 | 0;
  const digits = 3 * (whole - thousands * 1_000);
  let end = thousands === 0 ? at : writeWhole(buffer, at, thousands);
  if (whole >= 100) buffer[end++] = DIGITS[digits]!;
  if (whole >= 10) buffer[end++] = DIGITS[digits + 1]!;
  buffer[end++] = DIGITS[digits + 2]!;
  return end;
}

/** Of counts and amounts of money too, a text costs more than the digits. */
function writeLonger(buffer: Uint8Array, at: number, value: number): number {
  const scaled = rounded(value * HUNDRED);
  return Math.abs(scaled) < MAX_SCALED && scaled / HUNDRED === value
    ? writeScaled(buffer, at, scaled | 0, HUNDRED)
    : writeText(buffer, at, Number.isFinite(value) ? `${value}` : "null");
}

function writeNineDigits(buffer: Uint8Array, at: number, value: number): number {
  for (const scale of FLOAT32_SCALES) {
    const scaled = rounded(value * scale);
    if (Math.abs(scaled) >= MAX_SCALED) continue;
    if (Math.fround(scaled / scale) !== value) break;
    return writeScaled(buffer, at, scaled | 0, scale | 0);
  }
  return writeLonger(buffer, at, value);
}

/** @param scale a power of ten */
function writeScaled(buffer: Uint8Array, at: number, scaled: number, scale: number): number {
  const size = Math.abs(scaled);
  if (scaled < 0) buffer[at] = MINUS;
  const whole = size / scale | 0;
  let end = writeWhole(buffer, scaled < 0 ? at + 1 : at, whole);
  let left = size - whole * scale;
  if (left > 0) buffer[end++] = POINT;
  for (let step = scale / 10 | 0; left > 0; step = step / 10 | 0) {
    const digit = left / step | 0;
    buffer[end++] = ZERO + digit;
    left -= digit * step;
  }
  return end;
}

function writeText(buffer: Uint8Array, at: number, text: string): number {
  for (let index = 0; index < text.length; index++) buffer[at + index] = text.charCodeAt(index);
  return at + text.length;
}
