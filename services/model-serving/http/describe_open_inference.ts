/** The OpenAPI description of the Open Inference Protocol. @module */
import type { OpenAPIHono } from "@hono/zod-openapi";
import { z } from "zod";
import { nameSchema } from "shared/contracts/names.ts";
import { inferSchema, JSON_LENGTH } from "../open_inference/infer_request.ts";

const errorSchema = z.object({
  error: z.string(),
  /** Every mistake found: a JSON pointer into the request, and what is wrong and accepted. */
  reasons: z.array(z.object({ path: z.string(), message: z.string() })).optional(),
});

const tensorSchema = z.object({ name: z.string(), datatype: z.string(), shape: z.array(z.int()) });

const metadataSchema = z.object({
  name: nameSchema,
  versions: z.array(z.string()),
  platform: z.string(),
  inputs: z.array(tensorSchema),
  outputs: z.array(tensorSchema),
});

const inferredSchema = z.object({
  model_name: nameSchema,
  model_version: z.string(),
  id: z.string().optional(),
  parameters: z.object({
    arm: nameSchema,
    queue_ms: z.number(),
    run_ms: z.number(),
    total_ms: z.number(),
    /** JSON of the marks of each row by its number: parameters are texts, numbers and booleans. */
    marks: z.string().optional(),
  }),
  /** Those with `binary_data_size` have their values behind the JSON. */
  outputs: z.array(tensorSchema.extend({
    data: z.array(z.union([z.number(), z.string()])).optional(),
    parameters: z.object({ binary_data_size: z.int() }).optional(),
  })),
});

const json = (schema: z.ZodType) => ({ "application/json": { schema } });
const answer = (schema: z.ZodType, description = "Done") => ({ description, content: json(schema) });
const failure = (description: string) => answer(errorSchema, description);

/** Bytes as they stand behind the JSON. */
const bytes = { "application/octet-stream": { schema: z.string().meta({ format: "binary" }) } };
const jsonLength = (description: string) =>
  z.object({ [JSON_LENGTH]: z.int().nonnegative().optional().describe(description) });

const PATHS = [
  { path: "/v2/models/{model}", of: "model", params: z.object({ model: nameSchema }) },
  {
    path: "/v2/models/{model}/versions/{version}",
    of: "model-version",
    params: z.object({ model: nameSchema, version: z.int().positive() }),
  },
];

export function describeOpenInference(app: OpenAPIHono): void {
  const tags = ["open-inference-protocol"];
  const describe = (route: Omit<Parameters<typeof app.openAPIRegistry.registerPath>[0], "tags">) =>
    app.openAPIRegistry.registerPath({ ...route, tags });

  describe({
    method: "get",
    path: "/v2",
    operationId: "v2-server",
    summary: "What this server is, and which extensions of the protocol it speaks",
    responses: {
      200: answer(z.object({ name: z.string(), version: z.string(), extensions: z.array(z.string()) })),
    },
  });
  describe({
    method: "get",
    path: "/v2/health/live",
    operationId: "v2-live",
    summary: "Whether the process is alive",
    responses: { 200: answer(z.object({ live: z.literal(true) })) },
  });
  describe({
    method: "get",
    path: "/v2/health/ready",
    operationId: "v2-ready",
    summary: "Whether every deployed model can answer",
    responses: {
      200: answer(z.object({ ready: z.literal(true) })),
      503: failure("A model can't answer yet"),
    },
  });
  describe({
    method: "post",
    path: "/v2/repository/index",
    operationId: "v2-repository-index",
    summary: "Models, their versions and states",
    responses: {
      200: answer(z.array(z.object({
        name: nameSchema,
        version: z.string(),
        state: z.enum(["READY", "UNAVAILABLE"]),
        reason: z.string(),
      }))),
    },
  });
  for (const { path, of, params } of PATHS) {
    describe({
      method: "get",
      path,
      operationId: `v2-${of}`,
      summary: "The versions that answer, and the tensors that go in and come out",
      request: { params },
      responses: { 200: answer(metadataSchema), 400: failure("Wrong"), 404: failure("Not served") },
    });
    describe({
      method: "get",
      path: `${path}/ready`,
      operationId: `v2-${of}-ready`,
      summary: "Whether it answers",
      request: { params },
      responses: {
        200: answer(z.object({ name: nameSchema, ready: z.literal(true) })),
        400: failure("Wrong"),
        404: failure("Not served"),
      },
    });
    describe({
      method: "post",
      path: `${path}/infer`,
      operationId: `v2-${of}-infer`,
      summary: "Predict for rows as tensors, in JSON or as bytes behind it",
      request: {
        params,
        headers: jsonLength("How many of the first bytes are JSON, where bytes of tensors follow"),
        body: { required: true, content: { ...json(inferSchema), ...bytes } },
      },
      responses: {
        200: {
          description: "Done",
          headers: jsonLength("How many of the first bytes are JSON, where outputs come as bytes"),
          content: { ...json(inferredSchema), ...bytes },
        },
        400: failure("The request is wrong: every mistake is listed"),
        404: failure("Not served"),
        413: failure("Too large"),
        415: failure("An encoding that is not known"),
        422: failure("The version answers with NaN or infinity"),
        429: failure("Too busy: try again after Retry-After"),
        500: failure("The model has failed"),
        503: failure("Too busy, or nothing can answer now: try again after Retry-After"),
        504: failure("The time that the request sets is over"),
      },
    });
  }
}
