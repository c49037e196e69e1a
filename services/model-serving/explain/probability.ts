/** Contributions on the scale on which a model adds up -> contributions to the probabilities that it answers with. @module */

/** What a model says on average, and what each feature adds to it. */
export interface Parts<Value> {
  base: Value;
  /** One for each feature. */
  parts: readonly Value[];
}

/**
 * Contributions to log odds as contributions to the probability: each by the slope of the logistic curve between the base
 * and the answer, so that they add up to the answer (the rescale rule of DeepLIFT: Shrikumar et al., 2017, section 3.5.1).
 */
export function inProbability({ base, parts }: Parts<number>, probability: number): Parts<number> {
  const sum = parts.reduce((total, part) => total + part, 0);
  const from = 1 / (1 + Math.exp(-base));
  const slope = Math.abs(sum) < 1e-9 ? from * (1 - from) : (probability - from) / sum;
  return { base: from, parts: parts.map((part) => part * slope) };
}

/** How scores of classes become probabilities: by a softmax, or as parts of their sum. */
export type ClassScale = "log_scores" | "scores";

/** The rule of Gauss and Legendre between -1 and 1: places and weights. */
const POINTS = [[-Math.sqrt(0.6), 5 / 18], [0, 8 / 18], [Math.sqrt(0.6), 5 / 18]] as const;

/**
 * The same for several classes, whose probabilities each depend on all scores: what each feature's part changes on the
 * straight way from the base to the answer (the average gradient of Aumann and Shapley, and of integrated gradients:
 * Sundararajan et al., 2017). Of two classes it is the rule above. They add up to the answer.
 *
 * @param probabilities that were answered
 */
export function inProbabilities(
  { base, parts }: Parts<readonly number[]>,
  { scale, probabilities }: { scale: ClassScale; probabilities: ArrayLike<number> },
): Parts<number[]> {
  const sums = base.map((_, k) => parts.reduce((total, part) => total + part[k]!, 0));
  const gained = parts.map(() => new Array<number>(base.length).fill(0));
  const panels = panelsOf(sums, scale);
  for (let panel = 0; panel < panels; panel++) {
    for (const [place, weight] of POINTS) {
      const at = (panel + 0.5 + place / 2) / panels;
      const scores = base.map((value, k) => value + at * sums[k]!);
      addGradient(gained, parts, { scores, scale, weight: weight / panels });
    }
  }
  const from = probabilitiesOf(base, scale);
  from.forEach((start, k) => {
    // What the rule of points leaves over goes to the features by the size of their parts.
    const left = probabilities[k]! - start - gained.reduce((total, part) => total + part[k]!, 0);
    const size = gained.reduce((total, part) => total + Math.abs(part[k]!), 0);
    if (size > 0) { for (const part of gained) part[k]! += left * Math.abs(part[k]!) / size; }
  });
  return { base: from, parts: gained };
}

/** Into how many pieces the way is cut: a softmax turns within a few units, parts of a sum change slowly. */
function panelsOf(sums: readonly number[], scale: ClassScale): number {
  if (scale === "scores") return 32;
  return Math.min(512, Math.max(4, Math.ceil(Math.max(...sums) - Math.min(...sums))));
}

/** Adds what the probabilities at these scores change along each feature's part. */
function addGradient(
  gained: readonly number[][],
  parts: readonly (readonly number[])[],
  { scores, scale, weight }: { scores: readonly number[]; scale: ClassScale; weight: number },
): void {
  const probabilities = probabilitiesOf(scores, scale);
  const total = scores.reduce((sum, score) => sum + score, 0);
  parts.forEach((part, feature) => {
    const into = gained[feature]!;
    if (scale === "scores") {
      const shift = part.reduce((sum, value) => sum + value, 0);
      part.forEach((value, k) => into[k]! += weight * (value - probabilities[k]! * shift) / total);
    } else {
      const shift = part.reduce((sum, value, k) => sum + probabilities[k]! * value, 0);
      part.forEach((value, k) => into[k]! += weight * probabilities[k]! * (value - shift));
    }
  });
}

function probabilitiesOf(scores: readonly number[], scale: ClassScale): number[] {
  const most = Math.max(...scores);
  const shares = scale === "scores" ? scores : scores.map((score) => Math.exp(score - most));
  const sum = shares.reduce((total, share) => total + share, 0);
  return shares.map((share) => share / sum);
}
