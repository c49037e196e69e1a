/**
 * The sigmoid as ONNX Runtime's kernel computes it (MLAS, logistic.cpp): a ratio of two polynomials in float32, without
 * fused operations in WebAssembly. Each step is rounded, so that the bits are the same.
 *
 * @module
 */
const { fround } = Math;

const LIMIT = 18;
/** Coefficients of the odd powers from 9 down to 1, and of the even powers from 10 down to 0. */
const ALPHA = [
  4.37031012579801e-11,
  1.15627324459942e-07,
  6.08574864600143e-05,
  8.51377133304701e-03,
  2.48287947061529e-01,
].map(fround);
const BETA = [
  6.10247389755681e-13,
  5.76102136993427e-09,
  6.29106785017040e-06,
  1.70198817374094e-03,
  1.16817656904453e-01,
  9.93151921023180e-01,
].map(fround);
const [A9, A7, A5, A3, A1] = ALPHA as [number, number, number, number, number];
const [B10, B8, B6, B4, B2, B0] = BETA as [number, number, number, number, number, number];

/** @param x a float32 */
export function logistic(x: number): number {
  if (x !== x) return NaN;
  const value = x < -LIMIT ? -LIMIT : x > LIMIT ? LIMIT : x;
  const squared = fround(value * value);
  let p = fround(fround(squared * A9) + A7);
  p = fround(fround(p * squared) + A5);
  p = fround(fround(p * squared) + A3);
  p = fround(fround(p * squared) + A1);
  p = fround(p * value);
  let q = fround(fround(squared * B10) + B8);
  q = fround(fround(q * squared) + B6);
  q = fround(fround(q * squared) + B4);
  q = fround(fround(q * squared) + B2);
  q = fround(fround(q * squared) + B0);
  const result = fround(fround(p / q) + 0.5);
  return result < 0 ? 0 : result > 1 ? 1 : result;
}
