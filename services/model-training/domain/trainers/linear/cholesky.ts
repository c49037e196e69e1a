/** Cholesky's decomposition (Golub and Van Loan, "Matrix computations", 4.2), of matrices kept row by row. @module */

/** The lower triangle of a symmetric matrix, of which only that is read, becomes L with L L' = matrix. */
export function decompose(matrix: Float64Array, size: number): void {
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

/** Solves L L' x = vector, in place. */
export function solve(lower: Float64Array, vector: Float64Array): void {
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
