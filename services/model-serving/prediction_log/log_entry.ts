/** What predict hands to the log: one outcome, with what it shares with the others of its call. @module */
import type { Entity } from "shared/contracts/entity_key.ts";
import type { FeatureValue, RequestValues } from "shared/contracts/feature_store.ts";
import type { FeaturesFrom, Mark, Reroute, ServedStatus } from "shared/contracts/model_serving.ts";
import type { Signature } from "shared/contracts/signature.ts";
import type { Instant } from "shared/contracts/time.ts";

/** What the rows of a call share that went to one arm. */
export interface LoggedCall {
  /** Null for a model that is not deployed. */
  project: string | null;
  model: string;
  version: number | null;
  arm: string | null;
  assigned: string | null;
  rerouted: Reroute | null;
  /** The features that are given, in their order; the same list for all calls of a version. */
  features: readonly string[];
  /** Of a model of several classes their names, the same list for all calls of a version. */
  classes: readonly string[] | null;
  featuresFrom: FeaturesFrom | null;
  featureService: Signature["featureService"] | null;
  position: number | null;
  snapshot: string | null;
  /** T of the features, or when it was served. */
  at: Instant;
  servedAt: Instant;
  latencyMs: number;
  traceparent: string | undefined;
}

/** One outcome. */
export interface LogEntry {
  id: string;
  call: LoggedCall;
  outcome: "ok" | "error";
  code: string | null;
  error: string | null;
  output: number | null;
  /** Of several classes how likely each is, row after row in the order of the call's classes. */
  probabilities: Float32Array | undefined;
  entity: Entity | null;
  /** What the caller gave for on-demand features. */
  request: RequestValues | undefined;
  /** What the model was given, row after row in the order of the call's features; `undefined` when it failed before. */
  given: readonly FeatureValue[] | undefined;
  /** Which row of both is this one's. */
  row: number;
  /** Of the same features; `undefined` when the caller gave the rows. */
  statuses: readonly ServedStatus[] | undefined;
  /** By feature; `undefined` when all went in as they came. */
  marks: Readonly<Record<string, Mark>> | undefined;
  /** Of a shadow's answer: the id of what the caller got. */
  shadowOf: string | null;
}
