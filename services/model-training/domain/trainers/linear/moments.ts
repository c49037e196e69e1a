/** Values whose sums are taken around the mean of those before. */
const BLOCK = 256;

/**
 * The mean and the deviation (of the population: divided by the number of values) of the values that are there; 0 and 0
 * where none is, and no deviation at all of equal ones.
 *
 * In one pass that does not cancel: of each block the sums around the mean so far, which are then put together (Chan,
 * Golub and LeVeque, "Algorithms for computing the sample variance", 1983).
 */
export function momentsOf(column: Float32Array): { mean: number; deviation: number } {
  let count = 0;
  let mean = firstThere(column);
  let squares = 0;
  const sums = new Float64Array(3);
  for (let from = 0; from < column.length; from += BLOCK) {
    sumBlock(column, from, mean, sums);
    const own = sums[0]!;
    if (own === 0) continue;
    const shift = sums[1]! / own;
    squares += sums[2]! - own * shift * shift + shift * shift * count * own / (count + own);
    count += own;
    mean += shift * own / count;
  }
  return { mean, deviation: count === 0 ? 0 : Math.sqrt(Math.max(squares, 0) / count) };
}

/** Of a block: how many values are there, their sum around the mean, and that of their squares. */
function sumBlock(column: Float32Array, from: number, mean: number, sums: Float64Array): void {
  const end = Math.min(from + BLOCK, column.length);
  let count = 0;
  let sum = 0;
  let squares = 0;
  for (let row = from; row < end; row++) {
    const value = column[row]! - mean;
    // NaN is missing.
    if (value === value) {
      count++;
      sum += value;
      squares += value * value;
    }
  }
  sums[0] = count;
  sums[1] = sum;
  sums[2] = squares;
}

function firstThere(column: Float32Array): number {
  for (const value of column) {
    if (value === value) return value;
  }
  return 0;
}
