/**
 * The bins in which training counts what a feature looked like, and monitoring what it looks like now.
 *
 * @module
 */

/** The bin of a value: the number of edges below it, for bin i holds (edges[i - 1], edges[i]] with open ends. */
export function binIndex(edges: readonly number[], value: number): number {
  let low = 0;
  let high = edges.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (value <= edges[middle]!) high = middle;
    else low = middle + 1;
  }
  return low;
}
