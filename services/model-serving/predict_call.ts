/** A call and its answer as every protocol hands them to and takes them from the use case. @module */
import type { Entity } from "shared/contracts/entity_key.ts";
import type { RequestValues } from "shared/contracts/feature_store.ts";
import type { Instant } from "shared/contracts/time.ts";
import type { RowExplanation } from "./explain/explain_rows.ts";
import type { Priority } from "./batching/batcher.ts";
import type { EntityQuestion, FeatureRead } from "./features/read_features.ts";
import type { CheckedRows, RowChecker } from "./validation/row_checker.ts";
import type { ServedVersion } from "./runtime/admission.ts";

/** Whose features are looked up, or rows that are given whole. */
export type Question =
  | EntityQuestion
  | {
    rows: number;
    /** Reads the rows of the protocol by the signature of the version that is to answer. */
    check: (checker: RowChecker) => CheckedRows;
  };

export interface PredictCall {
  model: string;
  /** Only this version may answer. */
  version?: number | undefined;
  question: Question;
  /** T for the features of entities; default: now by the project clock. */
  asOf?: Instant | undefined;
  /** By what the call is assigned to an arm, where no entity says that. */
  key?: string | undefined;
  priority?: Priority | undefined;
  /** Whether each answer is to say what each feature contributed to it. */
  explain?: boolean | undefined;
  /** How long the caller waits, in ms. */
  timeoutMs?: number | undefined;
  /** Whether what asks will ask again after such a failure: then it is no outcome yet, and is not logged. */
  asksAgain?: AsksAgain | undefined;
}

export type AsksAgain = (error: unknown) => boolean;

export interface PredictTimes {
  featuresMs: number;
  queueMs: number;
  runMs: number;
  totalMs: number;
}

export interface Prediction {
  served: ServedVersion;
  arm: string;
  /** T of the features; null for rows. */
  at: Instant | null;
  /** Milliseconds since 1970. */
  servedAtMs: number;
  /** One for each row. */
  ids: readonly string[];
  entities: readonly Entity[] | undefined;
  /** For each of them what the caller gave for on-demand features. */
  request: readonly RequestValues[] | undefined;
  checked: CheckedRows;
  /** The features of entities, in the order of the signature; `undefined` where the caller gave rows. */
  read: FeatureRead | undefined;
  /** `served.model.outputWidth` values for each row. */
  outputs: Float32Array;
  /** One for each row, where it was asked for. */
  explanations?: readonly RowExplanation[];
  times: PredictTimes;
}

/** To the microsecond: more digits say nothing, and cost more than the rest of a short answer. */
export const rounded = (ms: number): number => Math.round(ms * 1_000) / 1_000;

export const sizeOf = (question: Question): number =>
  "entities" in question ? question.entities.length : question.rows;

/** What stands for a row in the log and first in the answer: of several classes the number of the likeliest. */
export function outputOf({ served, outputs }: Pick<Prediction, "served" | "outputs">, row: number): number {
  const { outputWidth } = served.model;
  if (outputWidth === 1) return outputs[row]!;
  let best = row * outputWidth;
  for (let at = best + 1; at < (row + 1) * outputWidth; at++) if (outputs[at]! > outputs[best]!) best = at;
  return best - row * outputWidth;
}

/** How likely each class is, by name; `undefined` for a value, and for the flags 0 and 1, of which the output says all. */
export function probabilitiesOf(
  { served, outputs }: Pick<Prediction, "served" | "outputs">,
  row: number,
): Record<string, number> | undefined {
  const { model: { outputWidth }, signature: { classes } } = served;
  if (classes === null) return undefined;
  if (outputWidth === 1) {
    const [negative, positive] = classes as [string, string];
    if (negative === "0" && positive === "1") return undefined;
    return { [negative]: 1 - outputs[row]!, [positive]: outputs[row]! };
  }
  return Object.fromEntries(classes.map((name, number) => [name, outputs[row * outputWidth + number]!]));
}

/** The name of the likeliest class. */
export function classOf(prediction: Pick<Prediction, "served" | "outputs">, row: number): string {
  const { model: { outputWidth }, signature: { classes } } = prediction.served;
  const output = outputOf(prediction, row);
  return classes![outputWidth > 1 ? output : Number(output >= 0.5)]!;
}
