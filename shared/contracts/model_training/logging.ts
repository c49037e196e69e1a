/** Runs of people's own training code: what it logs of them, over HTTP or NATS, from any language. @module */
import { z } from "zod";
import { endpoint } from "../endpoint.ts";
import { nameSchema } from "../names.ts";
import { artifactSchema, loggedPointSchema } from "./runs.ts";
import { tagsSchema } from "./tags.ts";
import { parametersSchema } from "./parameters.ts";

const service = "model-training";

export const createRun = endpoint({
  service,
  verb: "create-run",
  http: { method: "post", path: "/v1/logged-runs", status: 201 },
  summary: "Begin a run that is trained elsewhere",
  request: z.object({
    project: nameSchema,
    /** A model it belongs to, which need not be declared. */
    model: nameSchema.optional(),
    algorithm: z.string().max(200).default("own"),
    parameters: parametersSchema.default({}),
    tags: tagsSchema.default({}),
    reason: z.string().default(""),
    /** SHA-256 of what it learns from. */
    trainingSet: z.string().max(200).optional(),
    gitRevision: z.string().max(100).optional(),
    environment: z.record(z.string(), z.string()).default({}),
    seed: z.int().nonnegative().optional(),
  }),
  reply: z.object({ id: z.uuid() }),
  mutation: true,
});

export const logRun = endpoint({
  service,
  verb: "log-run",
  http: { method: "post", path: "/v1/runs/{id}/log" },
  summary: "Log parameters, metrics, tags and lines of a run that is trained elsewhere",
  request: z.object({
    id: z.uuid(),
    parameters: parametersSchema.default({}),
    /** Values by step; one logged again replaces the earlier. */
    metrics: z.array(loggedPointSchema).max(10_000).default([]),
    /** Final values by name, by which runs are searched and compared; one logged again replaces the earlier. */
    results: z.record(z.string(), z.number()).default({}),
    tags: tagsSchema.default({}),
    lines: z.array(z.string().max(10_000)).max(1_000).default([]),
    /** Between 0 and 1. */
    progress: z.number().min(0).max(1).optional(),
  }),
  reply: z.object({}),
  mutation: true,
});

/** Over HTTP the bytes themselves may be sent instead: `PUT /v1/runs/{id}/artifacts/{name}`. */
export const logArtifact = endpoint({
  service,
  verb: "log-artifact",
  http: { method: "post", path: "/v1/runs/{id}/artifacts", status: 201 },
  summary: "Keep a file of the file store with a run that is trained elsewhere",
  request: z.object({
    id: z.uuid(),
    /** A file name without a path. */
    name: z.string().regex(/^[\w][\w.-]{0,199}$/, "must be a file name without a path"),
    /** A file in the file store (the object store `files`). */
    sha256: z.string(),
    mediaType: z.string().max(200).default("application/octet-stream"),
  }),
  reply: artifactSchema,
  mutation: true,
});

export const finishRun = endpoint({
  service,
  verb: "finish-run",
  http: { method: "post", path: "/v1/runs/{id}/finish" },
  summary: "End a run that is trained elsewhere",
  request: z.object({
    id: z.uuid(),
    /** Why it failed. Default: it did not. */
    error: z.string().min(1).optional(),
  }),
  reply: z.object({}),
  mutation: true,
});
