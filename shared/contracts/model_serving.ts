/** model-serving: what it owns, answers and publishes. @module */
import { z } from "zod";
import { listDefinitions, putDefinition, removeDefinition } from "./definition.ts";
import { endpoint } from "./endpoint.ts";
import { entitySchema } from "./entity_key.ts";
import { featureStatusSchema, featureValueSchema } from "./feature_store.ts";
import { featureReferenceSchema, nameSchema } from "./names.ts";
import { durationSchema, instantSchema } from "./time.ts";

const service = "model-serving";

/**
 * What becomes of values that are not as the model takes them. Missing values and unseen categories are the model's own
 * to say, in its signature; text with U+0000 is always refused.
 */
export const inputPolicySchema = z.object({
  /** Infinity, or a number beyond float32: the call is refused, or the value counts as missing and is marked. */
  notFinite: z.enum(["refuse", "missing"]).default("refuse"),
  /** Fields that the model does not know: the call is refused, or they are passed over. */
  unknown: z.enum(["refuse", "ignore"]).default("refuse"),
});

/** How the model of the same name is served. */
export const deploymentBodySchema = z.object({
  /** The alias whose version answers. */
  alias: nameSchema.default("champion"),
  features: z.object({
    /** How long to wait for the feature store. */
    deadline: durationSchema.default("PT1S"),
    /** When it is late or away: refuse the call, or go on with every feature missing. */
    fallback: z.enum(["refuse", "missing"]).default("refuse"),
  }).prefault({}),
  input: inputPolicySchema.prefault({}),
});
export type DeploymentBody = z.infer<typeof deploymentBodySchema>;

export const putDeployment = putDefinition(service, "deployment", deploymentBodySchema);
export const removeDeployment = removeDefinition(service, "deployment");
export const definitions = listDefinitions(service);

/** What did not go into the model as it came: it was missing, no finite float32, or a text unseen in training. */
export const markSchema = z.enum(["MISSING", "NOT_FINITE", "UNSEEN"]);
export type Mark = z.infer<typeof markSchema>;

/** Looked at by the signature of the model that answers, not here: a schema of 1,000 rows costs more than their run. */
const featureRow = z.unknown();
const featureColumn = z.array(z.unknown()).max(1_000);

const predictionSchema = z.object({
  /** Names this prediction in the log, for labels and traces. */
  id: z.uuid(),
  /** The probability of the second class, or the value. */
  output: z.number(),
  entity: entitySchema.optional(),
  features: z.record(featureReferenceSchema, featureValueSchema),
  statuses: z.record(featureReferenceSchema, featureStatusSchema).optional(),
  marks: z.record(featureReferenceSchema, markSchema).optional(),
});

export const predict = endpoint({
  service,
  verb: "predict",
  http: { method: "post", path: "/v1/models/{model}/predict" },
  summary: "Predict for entities (their features are looked up) or for rows of features",
  request: z.object({
    model: nameSchema,
    /** Whose features are looked up. */
    entities: z.array(entitySchema).min(1).max(1_000).optional(),
    /** With entities, one for each: features that only the caller knows. */
    features: z.array(z.record(featureReferenceSchema, featureValueSchema)).max(1_000).optional(),
    /** Features given whole, as one object a row ... */
    rows: z.array(featureRow).min(1).max(1_000).optional(),
    /** ... or as one list a feature. */
    columns: z.record(featureReferenceSchema, featureColumn).optional(),
    /** T for the features of entities; default: now by the project clock. */
    asOf: instantSchema.optional(),
    /** Whose rows run first where they wait. */
    priority: z.enum(["high", "normal", "low"]).optional(),
    /** How long the caller waits: what has not begun by then is refused. */
    timeoutMs: z.number().positive().optional(),
  }).refine(
    ({ entities, rows, columns }) =>
      [entities, rows, columns].filter((given) => given !== undefined).length === 1,
    { message: "must hold one of entities, rows and columns", path: ["entities"] },
  ).refine(
    ({ entities, features }) => features === undefined || features.length === entities?.length,
    { message: "must be as many as the entities", path: ["features"] },
  ),
  reply: z.object({
    model: nameSchema,
    version: z.int().positive(),
    arm: nameSchema,
    /** T of the features; null for rows. */
    at: instantSchema.nullable(),
    predictions: z.array(predictionSchema),
    times: z.object({
      featuresMs: z.number(),
      /** Waiting for a run, and the run itself. */
      queueMs: z.number(),
      runMs: z.number(),
      totalMs: z.number(),
    }),
  }),
});

export const servedModels = endpoint({
  service,
  verb: "models",
  http: { method: "get", path: "/v1/models" },
  summary: "What this copy serves",
  request: z.object({}),
  reply: z.object({
    models: z.array(z.object({
      model: nameSchema,
      alias: nameSchema,
      version: z.int().positive().nullable(),
      state: z.enum(["loading", "ready", "failed", "waiting"]),
      error: z.string().nullable(),
    })),
  }),
});

/** Data of a `predictions.<model>` event. Its id is the prediction id, its time T (or the call's, for rows). */
export const predictionRecordSchema = z.object({
  project: nameSchema,
  model: nameSchema,
  version: z.int().positive(),
  arm: nameSchema,
  outcome: z.enum(["ok", "error"]),
  error: z.string().nullable(),
  output: z.number().nullable(),
  entity: entitySchema.nullable(),
  features: z.record(featureReferenceSchema, featureValueSchema),
  /** CLEAN position of the feature store's answer. */
  position: z.int().nullable(),
  latencyMs: z.number(),
  servedAt: instantSchema,
  /** The sequence counts from 0 by instance, boot and model, so that a reader can see and count a gap. */
  instance: z.string(),
  boot: z.string(),
  sequence: z.int().nonnegative(),
});
export type PredictionRecord = z.infer<typeof predictionRecordSchema>;
