/** Which labels are news: new ones, and those whose value is another one now. @module */
import type { FeatureValue } from "shared/contracts/feature_store.ts";

/** The label of an entity at T. */
export interface LabelValue {
  /** Canonical entity key. */
  key: string;
  atMs: number;
  value: FeatureValue;
}

/** A label that was published. */
export interface KnownLabel extends LabelValue {
  /** From 1. */
  revision: number;
}

/** A label to be published. */
export interface LabelChange extends KnownLabel {
  /** The revision that it takes the place of. */
  corrects: number | null;
}

const nameOf = ({ key, atMs }: Pick<LabelValue, "key" | "atMs">) => `${atMs} ${key}`;

/** What of the computed labels is not published yet as it is; one T of an entity counts once. */
export function findChanges(computed: Iterable<LabelValue>, known: readonly KnownLabel[]): LabelChange[] {
  const published = new Map(known.map((label) => [nameOf(label), label]));
  const changes = new Map<string, LabelChange>();
  for (const label of computed) {
    const name = nameOf(label);
    const before = published.get(name);
    if (before !== undefined && before.value === label.value) continue;
    const corrects = before?.revision ?? null;
    changes.set(name, { ...label, revision: (corrects ?? 0) + 1, corrects });
  }
  return [...changes.values()];
}
