/** orchestration: what it owns, answers and publishes. @module */
import { z } from "zod";
import { listDeadLetters, redriveDeadLetters } from "./dead_letters.ts";
import { listDefinitions, putDefinition, removeDefinition } from "./definition.ts";
import { endpoint } from "./endpoint.ts";
import { nameSchema } from "./names.ts";
import { durationSchema, instantSchema } from "./time.ts";

const service = "orchestration";

/** Retrains a model: train, compare with the champion, promote by the gate, wait until it is served. */
export const pipelineBodySchema = z.object({
  model: nameSchema,
  on: z.object({
    /** Alert rules whose firing starts it. */
    alerts: z.array(nameSchema).default([]),
    /** Cron expression (five fields, UTC). */
    schedule: z.string().min(1).optional(),
  }),
  /** A trigger within this time after the start of the last run is recorded and skipped. */
  cooldown: durationSchema.default("PT1H"),
});
export type PipelineBody = z.infer<typeof pipelineBodySchema>;

export const putPipeline = putDefinition(service, "pipeline", pipelineBodySchema);
export const removePipeline = removeDefinition(service, "pipeline");
export const definitions = listDefinitions(service);

export const deadLetters = listDeadLetters(service);
export const redriveDead = redriveDeadLetters(service);

const stepSchema = z.object({
  name: z.enum(["train", "compare", "promote", "confirm"]),
  status: z.enum(["waiting", "running", "done", "skipped", "failed"]),
  startedAt: instantSchema.nullable(),
  finishedAt: instantSchema.nullable(),
  /** What the step found, such as the version registered or the gate's numbers. */
  result: z.record(z.string(), z.unknown()).nullable(),
});

export const pipelineRunSchema = z.object({
  id: z.uuid(),
  pipeline: nameSchema,
  project: nameSchema,
  model: nameSchema,
  trigger: z.object({ kind: z.enum(["alert", "schedule", "manual"]), reference: z.string() }),
  status: z.enum(["running", "promoted", "kept", "failed", "skipped"]),
  error: z.string().nullable(),
  steps: z.array(stepSchema),
  startedAt: instantSchema,
  finishedAt: instantSchema.nullable(),
});
export type PipelineRun = z.infer<typeof pipelineRunSchema>;

export const startPipelineRun = endpoint({
  service,
  verb: "start-pipeline-run",
  http: { method: "post", path: "/v1/pipelines/{pipeline}/runs", status: 202 },
  summary: "Start a pipeline by hand",
  request: z.object({ pipeline: nameSchema, reason: z.string().default("") }),
  reply: z.object({ id: z.uuid() }),
  mutation: true,
});

export const getPipelineRun = endpoint({
  service,
  verb: "pipeline-run",
  http: { method: "get", path: "/v1/pipeline-runs/{id}" },
  summary: "One run of a pipeline, with its steps",
  request: z.object({ id: z.uuid() }),
  reply: pipelineRunSchema,
});

export const listPipelineRuns = endpoint({
  service,
  verb: "pipeline-runs",
  http: { method: "get", path: "/v1/pipeline-runs" },
  summary: "Runs of pipelines, newest first",
  request: z.object({
    pipeline: nameSchema.optional(),
    limit: z.coerce.number().int().min(1).max(500).default(50),
  }),
  reply: z.object({ runs: z.array(pipelineRunSchema) }),
});
