import type { OpenAPIHono } from "@hono/zod-openapi";
import { z } from "zod";
import { acceptedEventsSchema, storeEvent, uploadSchema } from "shared/contracts/data_ingestion.ts";
import { CLOUDEVENT_TYPE, CLOUDEVENTS_BATCH_TYPE, HEADER } from "shared/contracts/envelope.ts";
import { nameSchema } from "shared/contracts/names.ts";
import { PROBLEM_TYPE, problemSchema } from "shared/http/problem.ts";
import { CSV_TYPE, LINES_TYPE, NDJSON_TYPE, PARQUET_TYPE } from "./content_types.ts";
import { EVENTS_PATH } from "./events.ts";
import { COMPLETE_HEADER, OFFSET_HEADER, UPLOAD_PATH } from "./uploads.ts";

const problem = (description: string) => ({
  description,
  content: { [PROBLEM_TYPE]: { schema: problemSchema } },
});

const answer = (description: string, schema: z.ZodType) => ({
  description,
  content: { "application/json": { schema } },
});

const offsetHeader = z.string().regex(/^\d{1,15}$/).describe("Bytes of the file; of Parquet, rows");

const REFUSALS = {
  415: problem("Not a content type, or content encoding, that is taken"),
  429: problem("The stream is full: try again after Retry-After"),
  503: problem("Too much is being read, or NATS or PostgreSQL is away: try again after Retry-After"),
  504: problem("The body hardly moved, and was given up"),
};

/** Tells the OpenAPI document of the routes that are no endpoints of the contract. */
export function describeRoutes(app: OpenAPIHono): void {
  describeEvents(app);
  describeUpload(app);
}

function describeEvents(app: OpenAPIHono): void {
  const anyRecord = z.record(z.string(), z.unknown());
  const text = { schema: z.string() };
  app.openAPIRegistry.registerPath({
    method: "post",
    path: EVENTS_PATH.replace(":source", "{source}"),
    operationId: "events",
    tags: ["data-ingestion"],
    summary:
      "Take events: one, an array, CloudEvents, or a file: lines of JSON, CSV, Parquet, lines of a log",
    request: {
      params: z.object({ source: nameSchema }),
      headers: z.object({
        prefer: z.literal("wait").optional().describe("Answer once a single event is stored"),
        "content-encoding": z.enum(["gzip", "identity"]).optional(),
        [HEADER.actor]: z.string().max(255).optional().describe("Who asks"),
        [HEADER.idempotencyKey]: z.string().max(255).optional().describe("The same body is taken once"),
      }),
      body: {
        required: true,
        description: `\`${CSV_TYPE}; delimiter=";"; empty=text\` says how CSV is to be read`,
        content: {
          "application/json": { schema: z.union([anyRecord, z.array(anyRecord)]) },
          [CLOUDEVENT_TYPE]: { schema: anyRecord },
          [CLOUDEVENTS_BATCH_TYPE]: { schema: z.array(anyRecord) },
          [NDJSON_TYPE]: text,
          [CSV_TYPE]: text,
          [LINES_TYPE]: text,
          [PARQUET_TYPE]: { schema: z.string().meta({ format: "binary" }) },
        },
      },
    },
    responses: {
      200: answer("A duplicate", storeEvent.spec.reply),
      201: answer("Stored", storeEvent.spec.reply),
      202: answer("Accepted", acceptedEventsSchema),
      400: problem("Malformed; with Prefer: wait, every reason why the event is rejected"),
      413: problem("Too large"),
      ...REFUSALS,
    },
  });
}

function describeUpload(app: OpenAPIHono): void {
  const binary = { schema: z.string().meta({ format: "binary" }) };
  app.openAPIRegistry.registerPath({
    method: "patch",
    path: UPLOAD_PATH.replace(":upload", "{upload}"),
    operationId: "upload-bytes",
    tags: ["data-ingestion"],
    summary: "Take bytes of a file that began with POST /v1/uploads",
    request: {
      params: z.object({ upload: z.uuid() }),
      headers: z.object({
        [OFFSET_HEADER]: offsetHeader,
        [COMPLETE_HEADER]: z.enum(["?0", "?1"]).optional().describe("?1: the file ends with this body"),
        "content-encoding": z.enum(["gzip", "identity"]).optional().describe(
          "Offsets count what is uncompressed",
        ),
        [HEADER.actor]: z.string().max(255).optional().describe("Who asks"),
      }),
      body: { required: true, content: { "application/octet-stream": binary } },
    },
    responses: {
      200: {
        ...answer("Taken up to the last whole record", uploadSchema),
        headers: z.object({ [OFFSET_HEADER]: offsetHeader }),
      },
      400: problem("The file cannot be read"),
      404: problem("There is no such upload"),
      409: {
        ...problem("It stands elsewhere, is complete, or somebody else is sending it"),
        headers: z.object({ [OFFSET_HEADER]: offsetHeader.optional() }),
      },
      413: problem("A Parquet file that is too large"),
      ...REFUSALS,
    },
  });
}
