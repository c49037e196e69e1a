/** model-serving: what it owns, answers and publishes. @module */
import { z } from "zod";
import { listDefinitions, putDefinition, removeDefinition } from "./definition.ts";
import { endpoint } from "./endpoint.ts";
import { entitySchema } from "./entity_key.ts";
import { featureStatusSchema, featureValueSchema } from "./feature_store.ts";
import { featureReferenceSchema, nameSchema } from "./names.ts";
import { durationSchema, instantSchema } from "./time.ts";

const service = "model-serving";

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
});
export type DeploymentBody = z.infer<typeof deploymentBodySchema>;

export const putDeployment = putDefinition(service, "deployment", deploymentBodySchema);
export const removeDeployment = removeDefinition(service, "deployment");
export const definitions = listDefinitions(service);

const featureRow = z.record(featureReferenceSchema, z.union([z.number(), z.null()]));

const predictionSchema = z.object({
  /** Names this prediction in the log, for labels and traces. */
  id: z.uuid(),
  /** The probability of the second class, or the value. */
  output: z.number(),
  entity: entitySchema.optional(),
  features: z.record(featureReferenceSchema, featureValueSchema),
  statuses: z.record(featureReferenceSchema, featureStatusSchema).optional(),
});

export const predict = endpoint({
  service,
  verb: "predict",
  http: { method: "post", path: "/v1/models/{model}/predict" },
  summary: "Predict for entities (their features are looked up) or for rows of features",
  request: z.object({
    model: nameSchema,
    entities: z.array(entitySchema).min(1).max(1_000).optional(),
    rows: z.array(featureRow).min(1).max(1_000).optional(),
    /** T for the features of entities; default: now by the project clock. */
    asOf: instantSchema.optional(),
  }).refine((request) => (request.entities === undefined) !== (request.rows === undefined), {
    message: "must hold either entities or rows",
    path: ["entities"],
  }),
  reply: z.object({
    model: nameSchema,
    version: z.int().positive(),
    arm: nameSchema,
    /** T of the features; null for rows. */
    at: instantSchema.nullable(),
    predictions: z.array(predictionSchema),
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
