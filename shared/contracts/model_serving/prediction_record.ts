/** What the prediction log holds of each outcome. @module */
import { z } from "zod";
import { entitySchema } from "../entity_key.ts";
import { featureStatusSchema, featureValueSchema, requestValuesSchema } from "../feature_store.ts";
import { featureReferenceSchema, nameSchema } from "../names.ts";
import { instantSchema } from "../time.ts";

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
 * Data of a `predictions.<model>` event: one row, or a call that failed before it had rows. Its id is the prediction
 * id, its time T (or the call's, for rows), its definition the version (0 when none was reached).
 *
 * The message's header `Microml-Log-Head` says how many records the process had made of this model when it sent it:
 * see LOG_HEADER.
 */
export const predictionRecordSchema = z.object({
  /** Null for a model that is not deployed. */
  project: nameSchema.nullable(),
  model: nameSchema,
  /** Null when the call failed before a version was chosen. */
  version: z.int().positive().nullable(),
  arm: nameSchema.nullable(),
  /** The arm that the call was assigned to, where another one answered, and why. */
  assigned: nameSchema.nullable().default(null),
  rerouted: rerouteSchema.nullable().default(null),
  /** For a shadow's answer: the id of the prediction that the caller got. */
  shadowOf: z.string().nullable().default(null),
  outcome: z.enum(["ok", "error"]),
  /** Of an error: its code (shared/errors.ts) and its message. */
  code: z.string().nullable().default(null),
  error: z.string().nullable(),
  output: z.number().nullable(),
  /** Of a model of several classes: how likely each is, by its name; `output` is the number of the likeliest. */
  probabilities: z.record(z.string(), z.number().nullable()).nullable().default(null),
  entity: entitySchema.nullable(),
  /** Exactly what was served to the model, before it imputed any; empty when the call failed before that. */
  features: z.record(featureReferenceSchema, featureValueSchema),
  /** Of those that are not PRESENT; for rows of the caller none. */
  statuses: z.record(featureReferenceSchema, servedStatusSchema).default({}),
  /** Of those that did not go in as they came. */
  marks: z.record(featureReferenceSchema, markSchema).default({}),
  featuresFrom: featuresFromSchema.nullable().default(null),
  /** What the caller gave for the on-demand features, with which they can be computed again. */
  request: requestValuesSchema.nullable().default(null),
  /** What was looked up; null where nothing was. */
  featureService: z.object({ name: nameSchema, version: z.int().positive() }).nullable().default(null),
  /** CLEAN position of the feature store's answer, and what exactly was visible to it (null of several answers). */
  position: z.int().nullable(),
  snapshot: z.string().nullable().default(null),
  /** From the call's arrival to its answer. */
  latencyMs: z.number(),
  servedAt: instantSchema,
  /** The share of such outcomes that is logged: 1 unless the deployment samples. */
  sample: z.number().default(1),
  /** The sequence counts from 0 by instance, boot and model, so that a reader can see and count a gap. */
  instance: z.string(),
  boot: z.string(),
  sequence: z.int().nonnegative(),
});
export type PredictionRecord = z.infer<typeof predictionRecordSchema>;

/** Headers of a message of the prediction log, for readers that count what never came. */
export const LOG_HEADER = {
  instance: "Microml-Log-Instance",
  boot: "Microml-Log-Boot",
  /** Records made so far by this boot of this model; those of them that never come were lost. */
  head: "Microml-Log-Head",
  /** Present on the last message of a boot that stopped in order. */
  closed: "Microml-Log-Closed",
} as const;
