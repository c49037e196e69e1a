import type { Design } from "./design.ts";

/** Beyond this many parameters the curvature is taken by its diagonal alone: the rest would cost more than it saves. */
const MAX_DENSE = 600;

/** An estimate of the second derivatives that can be divided by. */
export interface Curvature {
  /** Solves curvature x = vector, in place. */
  solve(vector: Float64Array): void;
}

/**
 * The curvature of the loss by the parameters of one output, from every `stride`-th row: the second moments of the
 * values, times `scale`, and the penalty.
 *
 * @param options.scale second derivative of a row's loss by its score, on average
 * @param options.isDiagonal whether to leave out how parameters go together
 */
export function estimateCurvature(
  design: Design,
  { scale, l2, stride, isDiagonal }: { scale: number; l2: number; stride: number; isDiagonal: boolean },
): Curvature {
  const width = design.parameters;
  const isDense = !isDiagonal && width <= MAX_DENSE;
  const moments = new Float64Array(isDense ? width * width : width);
  const indices = new Int32Array(design.numbers + design.categories + 1);
  const values = new Float64Array(indices.length);
  for (let i = 0; i < design.numbers; i++) indices[i] = i;
  values.fill(1);
  indices[indices.length - 1] = width - 1;
  let rows = 0;
  for (let row = 0; row < design.rows; row += stride) {
    rows++;
    for (let i = 0; i < design.numbers; i++) values[i] = design.values[row * design.numbers + i]!;
    for (let c = 0; c < design.categories; c++) {
      indices[design.numbers + c] = design.flags[row * design.categories + c]!;
    }
    for (let i = 0; i < indices.length; i++) {
      const value = values[i]!;
      if (!isDense) {
        moments[indices[i]!] = moments[indices[i]!]! + value * value;
        continue;
      }
      const base = indices[i]! * width;
      // The places ascend, so that this is the lower triangle.
      for (let j = 0; j <= i; j++) {
        moments[base + indices[j]!] = moments[base + indices[j]!]! + value * values[j]!;
      }
    }
  }
  const factor = scale * design.rows / rows;
  // Flags that add up to 1 are collinear with the intercept: without a little more, it could not be divided by.
  const ridge = 1e-9 * factor * rows + Number.MIN_VALUE;
  for (let i = 0; i < moments.length; i++) moments[i] = moments[i]! * factor;
  for (let i = 0; i < width; i++) {
    const at = isDense ? i * width + i : i;
    moments[at] = moments[at]! + ridge + (i < width - 1 ? l2 : 0);
  }
  if (!isDense) {
    return { solve: (vector) => vector.forEach((value, i) => vector[i] = value / moments[i]!) };
  }
  decompose(moments, width);
  return { solve: (vector) => solveTriangles(moments, vector) };
}

/** Cholesky's decomposition of the lower triangle, in place (Golub and Van Loan, "Matrix computations", 4.2). */
function decompose(matrix: Float64Array, size: number): void {
  for (let i = 0; i < size; i++) {
    for (let j = 0; j <= i; j++) {
      let sum = matrix[i * size + j]!;
      for (let k = 0; k < j; k++) sum -= matrix[i * size + k]! * matrix[j * size + k]!;
      if (i !== j) matrix[i * size + j] = sum / matrix[j * size + j]!;
      // Rounding can take the last bit of a parameter that others explain: it then moves freely.
      else matrix[i * size + i] = Math.sqrt(Math.max(sum, 1e-12 * matrix[i * size + i]!, Number.MIN_VALUE));
    }
  }
}

function solveTriangles(lower: Float64Array, vector: Float64Array): void {
  const size = vector.length;
  for (let i = 0; i < size; i++) {
    let sum = vector[i]!;
    for (let k = 0; k < i; k++) sum -= lower[i * size + k]! * vector[k]!;
    vector[i] = sum / lower[i * size + i]!;
  }
  for (let i = size - 1; i >= 0; i--) {
    let sum = vector[i]!;
    for (let k = i + 1; k < size; k++) sum -= lower[k * size + i]! * vector[k]!;
    vector[i] = sum / lower[i * size + i]!;
  }
}
