/** Training runs. @module */
import { z } from "zod";
import { endpoint } from "../endpoint.ts";
import { nameSchema } from "../names.ts";
import { instantSchema } from "../time.ts";
import { parametersSchema } from "./parameters.ts";
import { algorithmSchema } from "./algorithm.ts";
import { evaluationSchema } from "./evaluation.ts";

const service = "model-training";

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
    parameters: parametersSchema.optional(),
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
