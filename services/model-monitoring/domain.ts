/** Counting predictions into reference bins, and comparing the two distributions. Pure. @module */
import type { PlatformEvent } from "shared/contracts/envelope.ts";
import type { MonitorBody } from "shared/contracts/model_monitoring.ts";
import type { PredictionRecord } from "shared/contracts/model_serving.ts";
import { OUTPUT_BINS, type ReferenceBins } from "shared/contracts/signature.ts";
import { binIndex } from "shared/reference_bins.ts";
import { durationToMs, floorToTick, type Instant, toInstant } from "shared/contracts/time.ts";

export type PredictionEvent = PlatformEvent<PredictionRecord>;

/** How far a process says it had counted its records of a model when it sent a message. */
export interface LogMark {
  instance: string;
  boot: string;
  model: string;
  /** Records made. */
  head: number;
  /** It stopped in order. */
  closed: boolean;
  /** When the stream took the message. */
  at: Instant;
}

/** What counting needs of a prediction. */
export interface CountedPrediction {
  at: Instant;
  output: number | null;
  /** Of several classes how likely each is; null for an answer that is one number. */
  probabilities: PredictionRecord["probabilities"];
  features: PredictionRecord["features"];
}

/** The tumbling window that T lies in. */
export function windowOf(
  monitor: Pick<MonitorBody, "window">,
  at: Instant,
): { startsAt: Instant; endsAt: Instant } {
  const length = durationToMs(monitor.window);
  const start = floorToTick(Date.parse(at), length);
  return { startsAt: toInstant(start), endsAt: toInstant(start + length) };
}

/**
 * Counts values into (edges[i-1], edges[i]] with open ends; the last count is that of missing values.
 *
 * @returns one array of edges.length + 2 counts for each reference
 */
export function countIntoBins(
  references: readonly ReferenceBins[],
  predictions: readonly CountedPrediction[],
): Map<string, number[]> {
  return new Map(references.map((reference) => {
    const counts = new Array<number>(reference.edges.length + 2).fill(0);
    for (const prediction of predictions) {
      counts[binOf(reference, valueOf(reference, prediction))]!++;
    }
    return [reference.name, counts];
  }));
}

function valueOf(reference: ReferenceBins, { output, probabilities, features }: CountedPrediction): unknown {
  if (reference.class !== undefined) return probabilities?.[reference.class];
  return reference.name === OUTPUT_BINS ? output : features[reference.name];
}

/** The index of a value's bin; `edges.length + 1` for what is missing, or no finite number where there are numbers. */
function binOf({ edges, categories }: ReferenceBins, value: unknown): number {
  if (categories !== undefined && typeof value === "string") {
    if (value === "") return edges.length + 1;
    const index = categories.indexOf(value);
    return index < 0 ? categories.length : index;
  }
  const number = typeof value === "boolean" ? Number(value) : value;
  if (typeof number !== "number" || !Number.isFinite(number)) return edges.length + 1;
  return binIndex(edges, number);
}

/** Shares below this count as this, so that an empty bin gives a large finite term instead of an infinite one. */
const SMALLEST_SHARE = 1e-4;

/**
 * Population stability index: the sum over bins of (p - q) ln(p / q), p the actual and q the reference share
 * (Siddiqi, Credit Risk Scorecards, 2006, section on scorecard stability). Below 0.1 is customarily no shift,
 * above 0.25 a major one. Missing values are a bin of their own.
 */
export function populationStabilityIndex(reference: readonly number[], actual: readonly number[]): number {
  const total = (counts: readonly number[]) => counts.reduce((sum, count) => sum + count, 0);
  const referenceTotal = total(reference);
  const actualTotal = total(actual);
  if (referenceTotal === 0 || actualTotal === 0) return 0;
  return reference.reduce((sum, count, bin) => {
    const q = Math.max(count / referenceTotal, SMALLEST_SHARE);
    const p = Math.max((actual[bin] ?? 0) / actualTotal, SMALLEST_SHARE);
    return sum + (p - q) * Math.log(p / q);
  }, 0);
}

export interface FeatureDrift {
  name: string;
  psi: number;
  missingShare: number;
}

export interface Judgement {
  status: "ok" | "breach" | "too_few_rows";
  /** Largest PSI first. */
  features: FeatureDrift[];
}

/** Judges a window: in breach when at least `minFeatures` of features and output drift by the threshold or more. */
export function judgeWindow(
  monitor: MonitorBody,
  references: readonly ReferenceBins[],
  window: { rows: number; counts: ReadonlyMap<string, readonly number[]> },
): Judgement {
  if (window.rows < monitor.minRows) return { status: "too_few_rows", features: [] };
  const features = references.map((reference) => {
    const counts = window.counts.get(reference.name) ?? [];
    return {
      name: reference.name,
      psi: populationStabilityIndex([...reference.counts, reference.missing], counts),
      missingShare: (counts.at(-1) ?? 0) / window.rows,
    };
  }).sort((a, b) => b.psi - a.psi || (a.name < b.name ? -1 : 1));
  const ofClasses = new Set(
    references.filter((reference) => reference.class !== undefined).map(({ name }) => name),
  );
  // However many classes the output has, it counts as one.
  const drifting = new Set(
    features.filter(({ psi }) => psi >= monitor.threshold)
      .map(({ name }) => ofClasses.has(name) ? OUTPUT_BINS : name),
  );
  return { status: drifting.size >= monitor.minFeatures ? "breach" : "ok", features };
}
