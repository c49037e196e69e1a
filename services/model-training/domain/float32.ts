/** Largest finite float32. */
export const MAX_FLOAT32 = (2 - 2 ** -23) * 2 ** 127;

const float = new Float32Array(1);
const bits = new Int32Array(float.buffer);

/** The largest float32 that is not above the value, which must lie within the float32 range. */
export function floorToFloat32(value: number): number {
  const rounded = Math.fround(value);
  if (rounded <= value) return rounded;
  float[0] = rounded;
  // Neighbouring floats have neighbouring bit patterns; below zero they run the other way.
  if (rounded === 0) return -(2 ** -149);
  bits[0] = bits[0]! + (rounded > 0 ? -1 : 1);
  return float[0]!;
}
