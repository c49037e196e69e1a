/** Short lists of float32, as parts of one buffer: a buffer of its own costs more than the values of a row. @module */

const PER_BUFFER = 2_048;
/** Longer lists have a buffer of their own, so that a part that is kept keeps little else. */
const LONGEST_PART = PER_BUFFER / 8;

let buffer = new ArrayBuffer(PER_BUFFER * Float32Array.BYTES_PER_ELEMENT);
let used = 0;

/** A list of zeros. */
export function float32List(length: number): Float32Array {
  if (length > LONGEST_PART) return new Float32Array(length);
  if (used + length > PER_BUFFER) {
    buffer = new ArrayBuffer(buffer.byteLength);
    used = 0;
  }
  const part = new Float32Array(buffer, used * Float32Array.BYTES_PER_ELEMENT, length);
  used += length;
  return part;
}
