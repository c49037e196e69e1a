import { OUTPUT_BINS, type ReferenceBins } from "shared/contracts/signature.ts";
import { binIndex } from "shared/reference_bins.ts";

/** Bins of about equal content a feature gets by default: the customary ten of a population stability index. */
const DEFAULT_BINS = 10;

/**
 * Counts the values of a training column into bins of about equal content. A column of at most `bins` distinct
 * values gets a bin for each, so that a flag or a small count keeps its rare values apart.
 *
 * @param values NaN is missing, and counted apart
 * @param options.bins most bins; default: 10
 */
export function referenceBins(
  name: string,
  values: Float64Array | Float32Array,
  options: { bins?: number } = {},
): ReferenceBins {
  const { bins = DEFAULT_BINS } = options;
  // The default order of a typed array puts NaN last.
  const sorted = values.toSorted();
  let present = sorted.length;
  while (present > 0 && Number.isNaN(sorted[present - 1])) present--;
  const edges = binEdges(sorted.subarray(0, present), bins);
  const counts = new Array<number>(edges.length + 1).fill(0);
  for (let i = 0; i < present; i++) {
    const bin = binIndex(edges, sorted[i]!);
    counts[bin] = counts[bin]! + 1;
  }
  return { name, edges, counts, missing: values.length - present };
}

/** Texts that get a bin of their own; all others share one. */
const MOST_TEXTS = 50;

/**
 * Counts the texts of a training column: a bin for each of the most frequent ones, and one for all others.
 *
 * @param codes numbers of the texts in the dictionary, from 1; 0 is missing
 */
export function categoryBins(
  name: string,
  codes: ArrayLike<number>,
  dictionary: readonly string[],
): ReferenceBins {
  const rows = new Array<number>(dictionary.length + 1).fill(0);
  for (let row = 0; row < codes.length; row++) rows[codes[row]!]!++;
  const kept = dictionary.map((text, index) => ({ text, rows: rows[index + 1]! }))
    .filter(({ rows }) => rows > 0)
    .sort((a, b) => b.rows - a.rows || (a.text < b.text ? -1 : 1))
    .slice(0, MOST_TEXTS);
  const known = kept.reduce((sum, { rows }) => sum + rows, 0);
  return {
    name,
    edges: [...kept.keys()],
    counts: [...kept.map(({ rows }) => rows), codes.length - rows[0]! - known],
    missing: rows[0]!,
    categories: kept.map(({ text }) => text),
  };
}

/**
 * Of the answers of a model of several classes: how often each is the likeliest, and how each one's probability is
 * distributed.
 *
 * @param answers [rows, classes]
 */
export function classBins(answers: Float64Array, classes: readonly string[]): ReferenceBins[] {
  const width = classes.length;
  const counts = new Array<number>(width + 1).fill(0);
  for (let at = 0; at < answers.length; at += width) {
    const likeliest = likeliestOf(answers.subarray(at, at + width));
    counts[likeliest] = counts[likeliest]! + 1;
  }
  return [
    { name: OUTPUT_BINS, edges: [...classes.keys()], counts, missing: 0, categories: [...classes] },
    ...classes.map((name, number) => ({
      ...referenceBins(
        `${OUTPUT_BINS}/${name}`,
        Float64Array.from({ length: answers.length / width }, (_, row) => answers[row * width + number]!),
      ),
      class: name,
    })),
  ];
}

/** The first of the largest. */
const likeliestOf = (answer: Float64Array) =>
  answer.reduce((best, value, number) => value > answer[best]! ? number : best, 0);

function binEdges(sorted: Float64Array | Float32Array, bins: number): number[] {
  if (sorted.length === 0) return [];
  const candidates = firstDistinct(sorted, bins + 1);
  const chosen = candidates.length <= bins
    ? candidates
    : Array.from({ length: bins - 1 }, (_, i) => sorted[Math.ceil(((i + 1) * sorted.length) / bins) - 1]!);
  const largest = sorted[sorted.length - 1]!;
  // An edge at the largest value would only add a bin that nothing of the training set is in.
  return [...new Set(chosen)].filter((edge) => edge < largest);
}

function firstDistinct(sorted: Float64Array | Float32Array, most: number): number[] {
  const distinct: number[] = [];
  for (const value of sorted) {
    if (distinct.length === 0 || value > distinct[distinct.length - 1]!) {
      distinct.push(value);
      if (distinct.length === most) break;
    }
  }
  return distinct;
}
