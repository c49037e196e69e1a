/** Training runs: asked for, followed, ended, searched and compared. @module */
import { z } from "zod";
import { endpoint } from "../endpoint.ts";
import { nameSchema } from "../names.ts";
import { instantSchema } from "../time.ts";
import { evaluationSchema } from "./evaluation.ts";
import { modelBodySchema } from "./model.ts";
import { tagsSchema } from "./tags.ts";
import { parametersSchema } from "./parameters.ts";

const service = "model-training";

export const runStatusSchema = z.enum(["queued", "running", "done", "failed", "cancelled"]);
export const runStageSchema = z.enum(["queued", "features", "fit", "evaluate", "export", "register", "done"]);

/** How often parameters were tried in a search, and what came of each. */
export const trialSchema = z.object({
  trial: z.int(),
  parameters: parametersSchema,
  /** Rows that each of its fits learnt from at most. */
  rows: z.int(),
  /** Mean of the model's metric over the folds; null for one that failed. */
  value: z.number().nullable(),
  error: z.string().nullable(),
});
export type Trial = z.infer<typeof trialSchema>;

/**
 * The one look at the test part, by the model that was fitted last. The search and early stopping see other rows only.
 */
export const testLookSchema = z.object({
  /** When its result was kept. */
  at: instantSchema,
  /** Who asked for the run. */
  actor: z.string(),
  rows: z.int(),
  from: instantSchema,
  until: instantSchema,
  /** Candidates that the search tried before, on validation only. */
  tried: z.int(),
  /**
   * Runs that had looked at rows of the same training set, of a time that overlaps, before this one. The more, the less is
   * the result a measure of what is to come: it has been chosen from.
   */
  before: z.int(),
});
export type TestLook = z.infer<typeof testLookSchema>;

export const runSchema = z.object({
  id: z.uuid(),
  project: nameSchema,
  /** `trained` here; `logged` by someone's own code; `imported` with a file. */
  kind: z.enum(["trained", "logged", "imported"]),
  /** Null for a run that belongs to no declared model. */
  model: nameSchema.nullable(),
  status: runStatusSchema,
  stage: runStageSchema,
  /** Between 0 and 1, over all stages. */
  progress: z.number(),
  error: z.string().nullable(),
  algorithm: z.string(),
  parameters: z.record(z.string(), z.unknown()),
  seed: z.int().nullable(),
  tags: tagsSchema,
  /** Final values by name: of a trained run those of the test part. */
  metrics: z.record(z.string(), z.number()),
  trainingSet: z.string().nullable(),
  evaluation: evaluationSchema.nullable(),
  /** Null as long as nothing was judged on the test part. */
  testLook: testLookSchema.nullable(),
  /** The version it registered. */
  version: z.int().positive().nullable(),
  /** The run that it tries again. */
  retryOf: z.uuid().nullable(),
  /** Of an import: the logged run that its file was trained in. */
  loggedRun: z.uuid().nullable(),
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
  summary: "Start a training run: of a declared model, or of what the request describes",
  request: z.object({
    /** A declared model; what comes of the run becomes one of its versions ... */
    model: nameSchema.optional(),
    /** ... or a description like that of a model, for this run alone: its file is kept as the artifact `model.onnx`. */
    adHoc: modelBodySchema.extend({ project: nameSchema }).optional(),
    reason: z.string().default(""),
    tags: tagsSchema.default({}),
    /** Of the code that asks. */
    gitRevision: z.string().max(100).optional(),
    /** Each replaces what the model's definition says, for this run alone. */
    algorithm: nameSchema.optional(),
    parameters: parametersSchema.optional(),
    seed: z.int().nonnegative().optional(),
  }).refine(({ model, adHoc }) => (model === undefined) !== (adHoc === undefined), {
    message: "must name either a model or an ad hoc description",
    path: ["model"],
  }),
  reply: z.object({ id: z.uuid() }),
  mutation: true,
});

export const cancelRun = endpoint({
  service,
  verb: "cancel-run",
  http: { method: "post", path: "/v1/runs/{id}/cancel" },
  summary: "End a run that waits or is worked on; its thread ends at once",
  request: z.object({ id: z.uuid(), reason: z.string().default("") }),
  reply: z.object({ cancelled: z.boolean() }),
  mutation: true,
});

export const retryRun = endpoint({
  service,
  verb: "retry-run",
  http: { method: "post", path: "/v1/runs/{id}/retry", status: 202 },
  summary: "Start a run once more, as it was asked for",
  request: z.object({ id: z.uuid(), reason: z.string().default("") }),
  reply: z.object({ id: z.uuid() }),
  mutation: true,
});

export const artifactSchema = z.object({
  name: z.string(),
  /** Its name in the file store. */
  sha256: z.string(),
  bytes: z.int(),
  mediaType: z.string(),
  at: instantSchema,
});
export type Artifact = z.infer<typeof artifactSchema>;

/** A run with what only a look at one run tells. */
export const runDetailSchema = runSchema.extend({
  /** Where it ran: versions, system, cores. */
  environment: z.record(z.string(), z.string()),
  gitRevision: z.string().nullable(),
  artifacts: z.array(artifactSchema),
  /** Of a search, in their order. */
  trials: z.array(trialSchema),
  /** Of a logged run: the versions whose files were trained in it. */
  importedAs: z.array(z.object({ model: nameSchema, version: z.int().positive() })),
});
export type RunDetail = z.infer<typeof runDetailSchema>;

export const getRun = endpoint({
  service,
  verb: "run",
  http: { method: "get", path: "/v1/runs/{id}" },
  summary: "One training run",
  request: z.object({ id: z.uuid() }),
  reply: runDetailSchema,
});

const number = z.coerce.number();
const limit = number.int().min(1).max(500).default(50);

/** One, or several that must all hold: in a query the name comes as often as there are. */
const conditions = z.union([z.string(), z.array(z.string()).max(20)]).optional();

export const listRuns = endpoint({
  service,
  verb: "runs",
  http: { method: "get", path: "/v1/runs" },
  summary: "Training runs by what is known of them, newest first or by a metric",
  request: z.object({
    project: nameSchema.optional(),
    model: nameSchema.optional(),
    kind: runSchema.shape.kind.optional(),
    algorithm: z.string().optional(),
    status: runStatusSchema.optional(),
    /** SHA-256. */
    trainingSet: z.string().optional(),
    /** `key` or `key=value`. */
    tag: conditions,
    /** `name` or `name=value`, the value as JSON or as plain text. */
    parameter: conditions,
    /** A final value by its name, which lies between `min` and `max`. */
    metric: z.string().optional(),
    min: number.optional(),
    max: number.optional(),
    /** By the metric: the highest or the lowest value first. */
    order: z.enum(["newest", "highest", "lowest"]).default("newest"),
    limit,
    /** The `next` of the page before. */
    after: z.uuid().optional(),
  }).refine(
    ({ metric, min, max, order }) =>
      metric !== undefined || (min === undefined && max === undefined && order === "newest"),
    { message: "must name the metric of min, max and order", path: ["metric"] },
  ),
  reply: z.object({ runs: z.array(runSchema), next: z.uuid().nullable() }),
});

const comparedSchema = z.object({
  name: z.string(),
  /** In the order of the runs; null where a run has none. */
  values: z.array(z.unknown()),
  differs: z.boolean(),
});

export const compareRuns = endpoint({
  service,
  verb: "compare-runs",
  http: { method: "post", path: "/v1/runs/compare" },
  summary: "Runs side by side: what they have in common, and in what they differ",
  request: z.object({ ids: z.array(z.uuid()).min(2).max(20) }),
  reply: z.object({
    runs: z.array(runSchema),
    /** Model, algorithm, seed, training set, git revision. */
    origins: z.array(comparedSchema),
    parameters: z.array(comparedSchema),
    metrics: z.array(comparedSchema),
    tags: z.array(comparedSchema),
    environment: z.array(comparedSchema),
  }),
});
export type RunComparison = z.infer<typeof compareRuns.spec.reply>;

export const metricPointSchema = z.object({
  name: z.string().min(1).max(200),
  /** The round, epoch or step. */
  step: z.int().nonnegative(),
  value: z.number(),
});
export type MetricPoint = z.infer<typeof metricPointSchema>;

/** A training that goes wrong has values that JSON has no number for: they are logged, and told, as text. */
export const loggedPointSchema = metricPointSchema.extend({
  value: z.union([z.number(), z.enum(["NaN", "Infinity", "-Infinity"])]),
});
export type LoggedPoint = z.infer<typeof loggedPointSchema>;

export const runMetrics = endpoint({
  service,
  verb: "run-metrics",
  http: { method: "get", path: "/v1/runs/{id}/metrics" },
  summary: "Metrics of a run by round, in the order of name and step",
  request: z.object({
    id: z.uuid(),
    name: z.string().optional(),
    limit: number.int().min(1).max(10_000).default(1_000),
    /** The `next` of the page before. */
    after: z.string().optional(),
  }),
  reply: z.object({ points: z.array(loggedPointSchema), next: z.string().nullable() }),
});

export const runLogs = endpoint({
  service,
  verb: "run-logs",
  http: { method: "get", path: "/v1/runs/{id}/logs" },
  summary: "What was logged of a run, oldest first",
  request: z.object({ id: z.uuid(), limit, after: number.int().nonnegative().default(0) }),
  reply: z.object({
    lines: z.array(z.object({ sequence: z.int(), at: instantSchema, line: z.string() })),
    next: z.int().nullable(),
  }),
});

/**
 * How far a run is: on `subject.trainingRun(<id>)` (core NATS, not kept), and at `GET /v1/runs/{id}/events` as server-sent
 * events with the sequence as their id, from the beginning or after `Last-Event-ID`. The last one has a status other
 * than `queued` and `running`.
 */
export const runEventSchema = z.object({
  run: z.uuid(),
  /** Counts the events of the run, from 1. */
  sequence: z.int().positive(),
  at: instantSchema,
  status: runStatusSchema,
  stage: runStageSchema,
  progress: z.number(),
  /** Of the fit, or the trial of a search; null where there is none. */
  round: z.number().nullable(),
  rounds: z.number().nullable(),
  /** Newest values by name, such as `training_loss`. */
  metrics: z.record(z.string(), z.number()),
  /** What the present stage is likely to take still; null as long as nothing is known. */
  secondsLeft: z.number().nullable(),
  error: z.string().nullable(),
  version: z.int().nullable(),
});
export type RunEvent = z.infer<typeof runEventSchema>;
