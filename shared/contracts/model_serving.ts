/** model-serving: what it owns, answers and publishes. @module */
import { z } from "zod";
import { endpoint } from "./endpoint.ts";
import { entitySchema } from "./entity_key.ts";
import { featureValueSchema, requestValuesSchema } from "./feature_store.ts";
import { featuresFromSchema, markSchema, servedStatusSchema } from "./model_serving/prediction_record.ts";
import { featureReferenceSchema, nameSchema } from "./names.ts";
import { instantSchema } from "./time.ts";

export * from "./model_serving/deployment.ts";
export * from "./model_serving/prediction_block.ts";
export * from "./model_serving/prediction_record.ts";

const service = "model-serving";

/** Rows of a call. */
const MAX_ROWS = 1_000;

/**
 * One value a row, or one row each. They are looked at by the signature of the model that answers and not here: zod's own
 * list copies its elements one by one, which costs as much as their run.
 */
const perRow = z.unknown().check(({ value, issues }) => {
  if (!Array.isArray(value)) issues.push({ code: "invalid_type", expected: "array", input: value });
  else if (value.length === 0) {
    issues.push({ code: "too_small", origin: "array", minimum: 1, inclusive: true, input: value });
  } else if (value.length > MAX_ROWS) {
    issues.push({ code: "too_big", origin: "array", maximum: MAX_ROWS, inclusive: true, input: value });
  }
}).meta({ type: "array", minItems: 1, maxItems: MAX_ROWS, items: {} }) as unknown as z.ZodType<unknown[]>;

const byFeature = <Value extends z.ZodType>(value: Value) => z.record(featureReferenceSchema, value);

/** Of several classes one number for each. */
const perClass = z.union([z.number(), z.array(z.number())]);

/**
 * What each feature contributes to an answer (SHAP values): the base, which is what the model says on average over its
 * training part, and the contributions add up to it.
 */
export const explanationSchema = z.object({
  /** The answer's own: of classes how likely they are, of several of each. */
  unit: z.enum(["probability", "value"]),
  base: perClass,
  contributions: byFeature(perClass),
  /**
   * The same where the model adds up and the SHAP values are exact, if that is not the answer itself: log odds; of several
   * classes log scores, whose softmax are the probabilities, or a forest's scores, whose parts of their sum they are.
   */
  raw: z.object({
    unit: z.enum(["log_odds", "log_scores", "scores"]),
    base: perClass,
    contributions: byFeature(perClass),
  }).optional(),
});

const predictionSchema = z.object({
  /** Names this prediction in the log, for labels and traces. */
  id: z.uuid(),
  /** The probability of the second class, the value, or of several classes the number of the likeliest, from 0. */
  output: z.number(),
  /** Of classes other than the flags 0 and 1: the likeliest, and how likely each is. */
  class: z.string().optional(),
  probabilities: z.record(z.string(), z.number()).optional(),
  entity: entitySchema.optional(),
  /** Of entities: what the model was given. */
  features: z.record(featureReferenceSchema, featureValueSchema).optional(),
  /** Of entities: where their features came from, the status of each, and the event time of what is behind it. */
  featuresFrom: featuresFromSchema.optional(),
  statuses: z.record(featureReferenceSchema, servedStatusSchema).optional(),
  eventTimes: z.record(featureReferenceSchema, instantSchema.nullable()).optional(),
  marks: z.record(featureReferenceSchema, markSchema).optional(),
  /** Where it was asked for. */
  explanation: explanationSchema.optional(),
  /** Where another arm answered this row than the call's first. */
  version: z.int().positive().optional(),
  arm: nameSchema.optional(),
});

/**
 * A call is answered whole or not at all. Where several arms answer parts of it and one of them fails, the champion
 * answers its rows; what the champion fails as well, or what is the caller's mistake, is the failure of the call.
 */
export const predict = endpoint({
  service,
  verb: "predict",
  http: { method: "post", path: "/v1/models/{model}/predict" },
  summary: "Predict for entities (their features are looked up) or for rows of features",
  request: z.object({
    model: nameSchema,
    /** Whose features are looked up. */
    entities: z.array(entitySchema).min(1).max(MAX_ROWS).optional(),
    /** With entities, one for each: features that only the caller knows. */
    features: z.array(z.record(z.string(), z.unknown())).max(MAX_ROWS).optional(),
    /** With entities, one for all or one for each: the values that their on-demand features read. */
    request: z.union([requestValuesSchema, z.array(requestValuesSchema).max(MAX_ROWS)]).optional(),
    /** Features given whole, as one object a row ... */
    rows: perRow.optional(),
    /** ... or as one list a feature. */
    columns: z.record(z.string(), perRow).optional(),
    /** T for the features of entities; default: now by the project clock. */
    asOf: instantSchema.optional(),
    /** Say with each answer what each feature contributed to it; refused (422) where the version that answers can't be explained. */
    explain: z.boolean().optional(),
    /** By what the call is assigned to an arm, where the deployment assigns by key; for rows also where by entity. */
    key: z.string().min(1).max(256).optional(),
    /** Whose rows run first where they wait. */
    priority: z.enum(["high", "normal", "low"]).optional(),
    /** How long the caller waits: what has not begun by then is refused. */
    timeoutMs: z.number().min(1).optional(),
  }).refine(
    ({ entities, rows, columns }) =>
      [entities, rows, columns].filter((given) => given !== undefined).length === 1,
    { message: "must hold one of entities, rows and columns", path: ["entities"] },
  ).refine(({ columns }) => columns === undefined || Object.keys(columns).length > 0, {
    message: "must hold a feature",
    path: ["columns"],
  }).refine(
    ({ entities, features }) => features === undefined || features.length === entities?.length,
    { message: "must be as many as the entities", path: ["features"] },
  ).refine(
    ({ entities, request }) =>
      Array.isArray(request)
        ? request.length === entities?.length
        : request === undefined || entities !== undefined,
    { message: "must be one for all entities, or as many as they are", path: ["request"] },
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

/** The same for callers that know the model by its subject: `nats req serving.predict.reorder '{"rows":[...]}'`. */
export const predictModel = endpoint({
  service,
  verb: "predict-model",
  subject: "serving.predict.{model}",
  summary: "Predict with the model that the subject names",
  request: predict.spec.request,
  reply: predict.spec.reply,
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
      /** The arm that it answers for; null when it is a shadow alone. */
      arm: z.object({
        name: nameSchema,
        weight: z.number(),
        breaker: z.enum(["closed", "open", "half_open"]),
        /** Calls that it is answering. */
        inFlight: z.int(),
      }).nullable(),
      /** The names under which it answers beside the arms. */
      shadows: z.array(nameSchema),
    })),
  }),
});
