/** The probability that log odds stand for. */
export const sigmoid = (score: number): number => 1 / (1 + Math.exp(-score));

/** Minus the log of the probability that log odds give to the label, without the overflow on the way through it. */
export function logLossOfScore(label: number, score: number): number {
  const wrongness = label === 1 ? -score : score;
  return Math.max(wrongness, 0) + Math.log1p(Math.exp(-Math.abs(wrongness)));
}
