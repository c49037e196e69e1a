/** How values that were served compare with those computed anew. @module */
import type { Entity } from "shared/contracts/entity_key.ts";
import type { FeatureValue, ModelConsistency } from "shared/contracts/feature_store.ts";
import { toInstant } from "shared/contracts/time.ts";

export interface ValueComparison {
  prediction: string;
  entity: Entity;
  atMs: number;
  feature: string;
  served: FeatureValue;
  computed: FeatureValue;
  /** `explained`: records were applied after the position of the read. */
  outcome: "equal" | "explained" | "unexplained";
  /** Those records: how many messages after the position they came, and how long they had been known at T. */
  late: readonly { messages: number; lagMs: number }[];
}

/** Means and deviations are merged in another order online; all else is exact, or the float32 that a model takes. */
const RELATIVE_TOLERANCE = 1e-12;

export function compareValues(served: FeatureValue, computed: FeatureValue): boolean {
  if (typeof served !== "number" || typeof computed !== "number") return served === computed;
  if (Object.is(served, Math.fround(computed))) return true;
  const size = Math.max(Math.abs(served), Math.abs(computed));
  return Math.abs(served - computed) <= RELATIVE_TOLERANCE * size;
}

const EXAMPLES = 10;

/** @param predictions the comparisons of each; undefined for one that was left out */
export function summarize(
  { project, model }: { project: string; model: string },
  predictions: readonly (readonly ValueComparison[] | undefined)[],
): ModelConsistency {
  const compared = predictions.filter((comparisons) => comparisons !== undefined);
  const values = compared.flat();
  const of = (outcome: ValueComparison["outcome"]) => values.filter((value) => value.outcome === outcome);
  const late = of("explained").flatMap((value) => value.late);
  const lags = late.map(({ lagMs }) => lagMs).sort((a, b) => a - b);
  return {
    project,
    model,
    predictions: compared.length,
    values: values.length,
    skipped: predictions.length - compared.length,
    explained: of("explained").length,
    unexplained: of("unexplained").length,
    lag: late.length === 0 ? null : {
      maxMessages: late.reduce((most, { messages }) => Math.max(most, messages), 0),
      medianMs: lags[Math.floor((lags.length - 1) / 2)]!,
      maxMs: lags.at(-1)!,
    },
    examples: of("unexplained").slice(0, EXAMPLES).map((
      { atMs, prediction, entity, feature, served, computed },
    ) => ({
      prediction,
      entity,
      at: toInstant(atMs),
      feature,
      served,
      computed,
    })),
  };
}
