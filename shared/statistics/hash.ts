/**
 * 53-bit hashes for counting distinct values: as many bits as a number holds exactly. Not for keys that someone may
 * choose in order to collide.
 *
 * @module
 */

/** Odd numbers without a pattern; the seeds keep a number and its text apart. */
const FIRST_FACTOR = 0x9e3779b1;
const SECOND_FACTOR = 0x85ebca77;
const TEXT_SEED = 0x2545f491;
const NUMBER_SEED = 0x6a09e667;
const BOOLEAN_SEED = 0x3c6ef372;

export function hashText(text: string): number {
  let first = TEXT_SEED ^ text.length;
  let second = ~TEXT_SEED;
  const pairs = text.length - text.length % 2;
  for (let i = 0; i < pairs; i += 2) {
    const codes = text.charCodeAt(i) | text.charCodeAt(i + 1) << 16;
    first = Math.imul(first ^ codes, FIRST_FACTOR);
    // Multiplications carry upwards only: without the shift the low bits would know little of the text.
    second = Math.imul(second ^ codes, SECOND_FACTOR) ^ first >>> 15;
  }
  if (pairs < text.length) {
    const code = text.charCodeAt(pairs);
    first = Math.imul(first ^ code, FIRST_FACTOR);
    second = Math.imul(second ^ code, SECOND_FACTOR) ^ first >>> 15;
  }
  return combine(first, second);
}

const double = new Float64Array(1);
const words = new Uint32Array(double.buffer);

export function hashNumber(value: number): number {
  // So that -0 is 0.
  double[0] = value + 0;
  return combine(
    Math.imul(words[0]! ^ NUMBER_SEED, FIRST_FACTOR) ^ words[1]!,
    Math.imul(words[1]! ^ NUMBER_SEED, SECOND_FACTOR) ^ words[0]!,
  );
}

export function hashBoolean(value: boolean): number {
  return combine(BOOLEAN_SEED, value ? 1 : 0);
}

/** Every bit that comes in changes about half of those that go out. */
function combine(first: number, second: number): number {
  const low = mix(first ^ Math.imul(mix(second), FIRST_FACTOR));
  const high = mix(second ^ Math.imul(low, SECOND_FACTOR));
  return (high >>> 11) * 2 ** 32 + (low >>> 0);
}

/** The finalizer of MurmurHash3. */
function mix(bits: number): number {
  let mixed = bits ^ (bits >>> 16);
  mixed = Math.imul(mixed, 0x85ebca6b);
  mixed ^= mixed >>> 13;
  mixed = Math.imul(mixed, 0xc2b2ae35);
  return mixed ^ (mixed >>> 16);
}
