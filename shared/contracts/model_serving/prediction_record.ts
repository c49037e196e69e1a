/** What the prediction log holds of each outcome. @module */
import { z } from "zod";
import type { Entity } from "../entity_key.ts";
import { featureStatusSchema, type FeatureValue, type RequestValues } from "../feature_store.ts";
import type { Instant } from "../time.ts";

/** Where a value came from: as the feature store says, given by the caller, or a declared default. */
export const servedStatusSchema = z.enum([...featureStatusSchema.options, "GIVEN", "DEFAULT"]);
export type ServedStatus = z.infer<typeof servedStatusSchema>;

/** What did not go into the model as it came: it was missing, no finite float32, or a text unseen in training. */
export const markSchema = z.enum(["MISSING", "NOT_FINITE", "UNSEEN"]);
export type Mark = z.infer<typeof markSchema>;

/** Where the features came from: the call itself, the feature store, or what stands in when that did not answer. */
export const featuresFromSchema = z.enum(["request", "store", "last_known", "defaults"]);
export type FeaturesFrom = z.infer<typeof featuresFromSchema>;

/**
 * Why another arm answered than the one that was assigned. `no_version`: its alias has none in memory, or one whose answers
 * mean something else than the champion's.
 */
export const rerouteSchema = z.enum(["no_version", "limit", "breaker", "error"]);
export type Reroute = z.infer<typeof rerouteSchema>;

/**
 * What is logged of one row, or of a call that failed before it had rows. As an event its id is the prediction id, its
 * time T (or when it was served, for rows), its definition the version (0 when none was reached). On the bus many records
 * travel as a block: see prediction_block.ts.
 */
export interface PredictionRecord {
  /** Null for a model that is not deployed. */
  project: string | null;
  model: string;
  /** Null when the call failed before a version was chosen. */
  version: number | null;
  arm: string | null;
  /** The arm that the call was assigned to, where another one answered, and why. */
  assigned: string | null;
  rerouted: Reroute | null;
  /** For a shadow's answer: the id of the prediction that the caller got. */
  shadowOf: string | null;
  outcome: "ok" | "error";
  /** Of an error: its code (shared/errors.ts) and its message. */
  code: string | null;
  error: string | null;
  output: number | null;
  /** Of a model of several classes: how likely each is, by its name; `output` is the number of the likeliest. */
  probabilities: Record<string, number | null> | null;
  entity: Entity | null;
  /** Exactly what was served to the model, before it imputed any; empty when the call failed before that. */
  features: Record<string, FeatureValue>;
  /** Of those that are not PRESENT; for rows of the caller none. */
  statuses: Record<string, ServedStatus>;
  /** Of those that did not go in as they came. */
  marks: Record<string, Mark>;
  featuresFrom: FeaturesFrom | null;
  /** What the caller gave for the on-demand features, with which they can be computed again. */
  request: RequestValues | null;
  /** What was looked up; null where nothing was. */
  featureService: { name: string; version: number } | null;
  /** CLEAN position of the feature store's answer, and what exactly was visible to it (null of several answers). */
  position: number | null;
  snapshot: string | null;
  /** From the call's arrival to its answer, in milliseconds. */
  latencyMs: number;
  servedAt: Instant;
  /** The share of such outcomes that is logged: 1 unless the deployment samples. */
  sample: number;
  /** The sequence counts from 0 by instance, boot and model, so that a reader can see and count a gap. */
  instance: string;
  boot: string;
  sequence: number;
}
