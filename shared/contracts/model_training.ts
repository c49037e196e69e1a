/** model-training: what it owns, answers and publishes. @module */
import { z } from "zod";
import { listDefinitions, putDefinition, removeDefinition } from "./definition.ts";
import { endpoint } from "./endpoint.ts";
import { labelSchema, spineSchema } from "./feature_store.ts";
import { nameSchema } from "./names.ts";
import { referenceBinsSchema, signatureSchema, taskSchema } from "./signature.ts";
import { durationSchema, instantSchema } from "./time.ts";

const service = "model-training";

export const algorithmSchema = z.enum(["gbdt", "logistic"]);
export const metricSchema = z.enum([
  "auc",
  "log_loss",
  "brier",
  "average_precision",
  "accuracy",
  "rmse",
  "mae",
  "r2",
]);
export type Metric = z.infer<typeof metricSchema>;

/** When a candidate may take the champion's place, judged on the same rows, later than either was trained on. */
export const gateSchema = z.object({
  /** By how much the metric must improve, in its own unit ... */
  minAbsoluteGain: z.number().min(0).default(0),
  /** ... and relative to the champion's value. */
  minRelativeGain: z.number().min(0).default(0),
  /**
   * By how much, relative to the baseline's value, it must beat the trivial baseline. A champion that drift has made
   * worse than the baseline is beaten by models that have learnt nothing.
   */
  minBaselineGain: z.number().min(0).default(0),
  /** Rows below which the gate does not decide for the candidate. */
  minRows: z.int().positive().default(100),
});
export type Gate = z.infer<typeof gateSchema>;

export const modelBodySchema = z.object({
  task: taskSchema,
  entity: nameSchema,
  featureService: nameSchema,
  spine: spineSchema,
  label: labelSchema,
  /** The first T that is observed; default: the first record's. Windows must have had time to fill. */
  observeFrom: instantSchema.optional(),
  algorithm: algorithmSchema,
  /** Parameters of the algorithm; unknown names are refused with the list of known ones. */
  parameters: z.record(z.string(), z.union([z.number(), z.boolean()])).default({}),
  metric: metricSchema,
  /** The last mature observations of this length are the test part; before them a gap of the label's horizon. */
  split: z.object({ test: durationSchema }),
  gate: gateSchema.prefault({}),
  seed: z.int().nonnegative().default(1),
  description: z.string().default(""),
});
export type ModelBody = z.infer<typeof modelBodySchema>;

export const putModel = putDefinition(service, "model", modelBodySchema);
export const removeModel = removeDefinition(service, "model");
export const definitions = listDefinitions(service);

const metricsSchema = z.record(z.string(), z.number());

/** Metrics on the test part: of the model, of the trivial baseline that always says the training prior. */
export const evaluationSchema = z.object({
  metric: metricSchema,
  rows: z.int(),
  /** Mean of the label over the test part. */
  baseRate: z.number(),
  model: metricsSchema,
  baseline: metricsSchema,
  /** 95% bootstrap interval of the primary metric. */
  interval: z.tuple([z.number(), z.number()]),
  trainRows: z.int(),
  trainUntil: instantSchema,
  testFrom: instantSchema,
  testUntil: instantSchema,
});
export type Evaluation = z.infer<typeof evaluationSchema>;

export const runSchema = z.object({
  id: z.uuid(),
  project: nameSchema,
  model: nameSchema,
  status: z.enum(["queued", "running", "done", "failed"]),
  stage: z.enum(["queued", "features", "fit", "evaluate", "export", "register", "done"]),
  /** Between 0 and 1, over all stages. */
  progress: z.number(),
  error: z.string().nullable(),
  algorithm: z.string(),
  parameters: z.record(z.string(), z.unknown()),
  seed: z.int(),
  trainingSet: z.string().nullable(),
  evaluation: evaluationSchema.nullable(),
  /** The version it registered. */
  version: z.int().positive().nullable(),
  actor: z.string(),
  reason: z.string(),
  createdAt: instantSchema,
  finishedAt: instantSchema.nullable(),
});
export type Run = z.infer<typeof runSchema>;

export const startRun = endpoint({
  service,
  verb: "start-run",
  http: { method: "post", path: "/v1/runs", status: 202 },
  summary: "Start a training run of a declared model",
  request: z.object({
    model: nameSchema,
    reason: z.string().default(""),
    /** Each replaces what the model's definition says, for this run alone. */
    algorithm: algorithmSchema.optional(),
    parameters: z.record(z.string(), z.union([z.number(), z.boolean()])).optional(),
    seed: z.int().nonnegative().optional(),
  }),
  reply: z.object({ id: z.uuid() }),
  mutation: true,
});

export const getRun = endpoint({
  service,
  verb: "run",
  http: { method: "get", path: "/v1/runs/{id}" },
  summary: "One training run",
  request: z.object({ id: z.uuid() }),
  reply: runSchema,
});

export const listRuns = endpoint({
  service,
  verb: "runs",
  http: { method: "get", path: "/v1/runs" },
  summary: "Training runs, newest first",
  request: z.object({
    model: nameSchema.optional(),
    limit: z.coerce.number().int().min(1).max(500).default(50),
  }),
  reply: z.object({ runs: z.array(runSchema) }),
});

export const versionSchema = z.object({
  model: nameSchema,
  version: z.int().positive(),
  project: nameSchema,
  run: z.uuid(),
  /** SHA-256 of the ONNX file, its name in the file store. */
  sha256: z.string(),
  bytes: z.int(),
  signature: signatureSchema,
  trainingSet: z.string(),
  evaluation: evaluationSchema,
  aliases: z.array(nameSchema),
  createdAt: instantSchema,
});
export type ModelVersion = z.infer<typeof versionSchema>;

export const listVersions = endpoint({
  service,
  verb: "versions",
  http: { method: "get", path: "/v1/models/{model}/versions" },
  summary: "Versions of a model, newest first",
  request: z.object({ model: nameSchema, limit: z.coerce.number().int().min(1).max(500).default(50) }),
  reply: z.object({ versions: z.array(versionSchema) }),
});

export const compareVersions = endpoint({
  service,
  verb: "compare",
  http: { method: "post", path: "/v1/models/{model}/comparisons", status: 201 },
  summary: "Judge a candidate against the version of an alias by the model's gate",
  request: z.object({
    model: nameSchema,
    candidate: z.int().positive(),
    /** The alias the candidate would take. */
    against: nameSchema.default("champion"),
  }),
  reply: z.object({
    id: z.uuid(),
    candidate: z.int(),
    /** Null when the alias pointed to nothing: then the candidate has only the baseline to beat. */
    champion: z.int().nullable(),
    metric: metricSchema,
    rows: z.int(),
    candidateValue: z.number().nullable(),
    championValue: z.number().nullable(),
    /** Of the prior of the candidate's training part, on the same rows. */
    baselineValue: z.number().nullable(),
    /** In the metric's unit, positive when the candidate is better. */
    gain: z.number().nullable(),
    passed: z.boolean(),
    reasons: z.array(z.string()),
  }),
  mutation: true,
});
export type Comparison = z.infer<typeof compareVersions.spec.reply>;

export const setAlias = endpoint({
  service,
  verb: "set-alias",
  http: { method: "put", path: "/v1/models/{model}/aliases/{alias}" },
  summary: "Point an alias to a version",
  request: z.object({
    model: nameSchema,
    alias: nameSchema,
    version: z.int().positive(),
    /** Refused (`conflict`) when the alias points to another version than this; null for none. Default: any. */
    replaces: z.int().positive().nullable().optional(),
    reason: z.string().min(1),
    /** What the decision rests on, for example a comparison id. */
    evidence: z.string().default(""),
  }),
  reply: z.object({ revision: z.int(), changed: z.boolean() }),
  mutation: true,
});

export const aliasHistory = endpoint({
  service,
  verb: "alias-history",
  http: { method: "get", path: "/v1/models/{model}/aliases" },
  summary: "Who pointed which alias where, when and why, newest first",
  request: z.object({ model: nameSchema, limit: z.coerce.number().int().min(1).max(500).default(50) }),
  reply: z.object({
    moves: z.array(z.object({
      alias: nameSchema,
      version: z.int(),
      revision: z.int(),
      actor: z.string(),
      reason: z.string(),
      evidence: z.string(),
      at: instantSchema,
    })),
  }),
});

/** The entry of the `aliases` bucket under `<model>.<alias>`: all that serving needs to load it. */
export const aliasEntrySchema = z.object({
  model: nameSchema,
  alias: nameSchema,
  version: z.int().positive(),
  sha256: z.string(),
  signature: signatureSchema,
  /** Counts the moves of this alias; a reader drops what is older than what it has. */
  revision: z.int().positive(),
  project: nameSchema,
});
export type AliasEntry = z.infer<typeof aliasEntrySchema>;

/** Data of `models.registered.<model>`. */
export const modelRegisteredSchema = z.object({
  model: nameSchema,
  project: nameSchema,
  version: z.int().positive(),
  sha256: z.string(),
  signature: signatureSchema,
  referenceBins: z.array(referenceBinsSchema),
});
export type ModelRegistered = z.infer<typeof modelRegisteredSchema>;
