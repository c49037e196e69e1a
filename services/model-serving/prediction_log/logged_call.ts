/** What predict hands to the log: the rows of a call that went to one arm, and what came of them. @module */
import type { Entity } from "shared/contracts/entity_key.ts";
import type { FeatureValue, RequestValues } from "shared/contracts/feature_store.ts";
import type { FeaturesFrom, Mark, Reroute, ServedStatus } from "shared/contracts/model_serving.ts";
import type { Signature } from "shared/contracts/signature.ts";
import { type Given, rowMajor } from "../validation/given.ts";
import type { Instant } from "shared/contracts/time.ts";

/** What the calls of one version to one arm share: a block of the log says it once. Lists are the same for all of them. */
export interface CallOrigin {
  /** Null for a model that is not deployed. */
  project: string | null;
  model: string;
  version: number | null;
  arm: string | null;
  assigned: string | null;
  rerouted: Reroute | null;
  /** The features that are given, in their order. */
  features: readonly string[];
  /** Of a model of several classes their names. */
  classes: readonly string[] | null;
  featuresFrom: FeaturesFrom | null;
  featureService: Signature["featureService"] | null;
}

export interface LoggedCall extends CallOrigin {
  position: number | null;
  snapshot: string | null;
  /** T of the features; null where it is when it was served. */
  at: Instant | null;
  /** Milliseconds since 1970. */
  servedAtMs: number;
  latencyMs: number;
  traceparent: string | undefined;
  /** Why its rows were not answered. */
  failure: { code: string; error: string } | undefined;
  /** One for each row, as in all the lists below. */
  ids: readonly string[];
  outputs: ArrayLike<number> | undefined;
  /** Of several classes how likely each is, row after row in the order of the classes. */
  probabilities: Float32Array | undefined;
  entities: readonly Entity[] | undefined;
  /** What the caller gave for on-demand features. */
  request: readonly RequestValues[] | undefined;
  /** What the model was given, in the order of the features; `undefined` when it failed before. */
  given: Given | undefined;
  /** Of the same features; `undefined` when the caller gave the rows. */
  statuses: readonly (readonly ServedStatus[])[] | undefined;
  /** By row and feature: what did not go in as it came. */
  marks: ReadonlyMap<number, Readonly<Record<string, Mark>>> | undefined;
  /** Of a shadow's answers: the ids of what the caller got. */
  shadowOf: readonly string[] | undefined;
}

/** Whether a caller got it. */
export const isAnswer = ({ failure, shadowOf }: LoggedCall): boolean =>
  failure === undefined && shadowOf === undefined;

/** Sampling leaves answers out, and what a shadow said of them. */
export const isAlwaysLogged = ({ failure, shadowOf }: LoggedCall): boolean =>
  failure !== undefined && shadowOf === undefined;

/** The same call with only some of its rows. */
export function pickRows(call: LoggedCall, rows: readonly number[]): LoggedCall {
  const one = <Value>(list: ArrayLike<Value>) => rows.map((row) => list[row]!);
  const wide = <Value>(list: ArrayLike<Value>, width: number) =>
    rows.flatMap((row) => Array.from({ length: width }, (_, index) => list[row * width + index]!));
  const { ids, outputs, probabilities, entities, request, given, statuses, marks, shadowOf } = call;
  const marked = rows.flatMap((row, index) => {
    const its = marks?.get(row);
    return its === undefined ? [] : [[index, its] as const];
  });
  return {
    ...call,
    ids: one(ids),
    outputs: outputs && one(outputs),
    probabilities: probabilities && Float32Array.from(wide(probabilities, call.classes!.length)),
    entities: entities && one(entities),
    request: request && one(request),
    given: given && wide<FeatureValue>(rowMajor(given), call.features.length),
    statuses: statuses && one(statuses),
    marks: new Map(marked),
    shadowOf: shadowOf && one(shadowOf),
  };
}
