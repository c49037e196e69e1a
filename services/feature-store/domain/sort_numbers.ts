/** Sorting many numbers by their bits: less than half of the time that comparing them takes. @module */

const DIGIT_BITS = 11;
const BUCKETS = 1 << DIGIT_BITS;
const DIGITS = 6;
const SIGN = 0x80000000;
/** Fewer are sorted sooner by comparing. */
const FEW = 1_024;

/**
 * Sorts numbers in place, ascending, none of them NaN; -0 comes before 0.
 *
 * The bits of a double, its sign turned, and all of them where it is negative, are in the order of the numbers. They are
 * sorted digit by digit, the last one first.
 *
 * @param scratch of as many numbers or more; their values are lost
 */
export function sortNumbers(
  numbers: Float64Array<ArrayBuffer>,
  scratch: Float64Array<ArrayBuffer> = new Float64Array(numbers.length),
): void {
  if (numbers.length < FEW) {
    numbers.sort();
    return;
  }
  const words = new Uint32Array(numbers.buffer, numbers.byteOffset, 2 * numbers.length);
  for (let low = 0; low < words.length; low += 2) {
    const high = words[low + 1]!;
    words[low + 1] = high ^ (high >= SIGN ? ~0 : SIGN);
    if (high >= SIGN) words[low] = ~words[low]!;
  }
  const counts = countDigits(words);
  let from = words;
  let to = new Uint32Array(scratch.buffer, scratch.byteOffset, words.length);
  for (let digit = 0; digit < DIGITS; digit++) {
    const places = counts.subarray(digit * BUCKETS, (digit + 1) * BUCKETS);
    if (places.includes(numbers.length)) continue;
    scatter(from, to, { digit, places });
    [from, to] = [to, from];
  }
  for (let low = 0; low < words.length; low += 2) {
    const high = from[low + 1]!;
    words[low + 1] = high ^ (high >= SIGN ? SIGN : ~0);
    words[low] = high >= SIGN ? from[low]! : ~from[low]!;
  }
}

function digitOf(low: number, high: number, digit: number): number {
  switch (digit) {
    case 0:
      return low & (BUCKETS - 1);
    case 1:
      return (low >>> 11) & (BUCKETS - 1);
    case 2:
      return (low >>> 22) | ((high & 1) << 10);
    case 3:
      return (high >>> 1) & (BUCKETS - 1);
    case 4:
      return (high >>> 12) & (BUCKETS - 1);
    default:
      return high >>> 23;
  }
}

/** How often each digit is there, by its place. */
function countDigits(words: Uint32Array): Uint32Array {
  const counts = new Uint32Array(DIGITS * BUCKETS);
  for (let index = 0; index < words.length; index += 2) {
    const low = words[index]!;
    const high = words[index + 1]!;
    for (let digit = 0; digit < DIGITS; digit++) counts[digit * BUCKETS + digitOf(low, high, digit)]!++;
  }
  return counts;
}

/** Moves the pairs of words into the order of a digit. */
function scatter(
  from: Uint32Array,
  to: Uint32Array,
  { digit, places }: { digit: number; places: Uint32Array },
): void {
  let before = 0;
  for (let bucket = 0; bucket < BUCKETS; bucket++) {
    const count = places[bucket]!;
    places[bucket] = before;
    before += count;
  }
  for (let index = 0; index < from.length; index += 2) {
    const low = from[index]!;
    const high = from[index + 1]!;
    const place = 2 * places[digitOf(low, high, digit)]!++;
    to[place] = low;
    to[place + 1] = high;
  }
}
