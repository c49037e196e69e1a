/**
 * The value below which a share of the values lies, linear between the two nearest ranks (Hyndman and Fan, "Sample
 * quantiles", 1996, definition 7).
 */
export function quantileOf(values: Float64Array, share: number): number {
  return quantileOfSorted(values.toSorted(), share);
}

/** The same of values that are in order already. */
export function quantileOfSorted(sorted: Float64Array, share: number): number {
  const position = share * (sorted.length - 1);
  const below = Math.floor(position);
  const low = sorted[below]!;
  const high = sorted[Math.min(below + 1, sorted.length - 1)]!;
  return low + (high - low) * (position - below);
}
