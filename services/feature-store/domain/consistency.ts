/** How values that were served compare with those computed anew. @module */
import type { Entity } from "shared/contracts/entity_key.ts";
import type { FeatureValue, ModelConsistency } from "shared/contracts/feature_store.ts";
import { toInstant } from "shared/contracts/time.ts";
import type { EntityRecord } from "./history.ts";

/** What was visible to a read. */
export interface Snapshot {
  /** All transactions below this one are. */
  below: number;
  sees(tx: number): boolean;
}

/** @param text PostgreSQL's `pg_snapshot`: `xmin:xmax:xip,...` @returns undefined for another text */
export function parseSnapshot(text: string): Snapshot | undefined {
  const [, below, end, running] = /^(\d+):(\d+):((?:\d+,?)*)$/.exec(text) ?? [];
  if (below === undefined) return undefined;
  const invisible = new Set((running ?? "").split(",").map(Number));
  return {
    below: Number(below),
    sees: (tx) => tx < Number(below) || (tx < Number(end) && !invisible.has(tx)),
  };
}

/** A record that is not as a read saw it: it was stored after that, or taken back. */
export interface LateRecord {
  source: string;
  id: string;
  definition: number;
  timeMs: number;
  knownAtMs: number;
  change: "stored" | "withdrawn";
  /** CLEAN position of what brought the change; null: it was pushed. */
  position: number | null;
}

/** The records of one source as they were before the late ones. */
export function recordsBefore(
  records: readonly EntityRecord[],
  late: readonly LateRecord[],
): EntityRecord[] {
  const changes = new Map(late.map((one) => [`${one.timeMs} ${one.definition} ${one.id}`, one.change]));
  return records.flatMap((record) => {
    const change = changes.get(`${record.time} ${record.definition} ${record.id}`);
    if (change === "stored") return [];
    return [change === "withdrawn" ? { ...record, retracted: false } : record];
  });
}

export interface ValueComparison {
  prediction: string;
  entity: Entity;
  atMs: number;
  feature: string;
  served: FeatureValue;
  computed: FeatureValue;
  /** `explained`: without what was applied after the read it is the value that was served. */
  outcome: "equal" | "explained" | "unexplained";
  /** Of an explained one, the late records: how many messages after the position, and how long they had been known at T. */
  late: readonly { messages: number; lagMs: number }[];
}

/** Means and deviations are merged in another order online; all else is exact, or the float32 that a model takes. */
const RELATIVE_TOLERANCE = 1e-12;

export function isSameValue(served: FeatureValue, computed: FeatureValue): boolean {
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
