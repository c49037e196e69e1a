/** The intake over HTTP: what the content type and `Prefer` say decides what happens to a body. @module */
import type { OpenAPIHono } from "@hono/zod-openapi";
import type { Context } from "hono";
import { z } from "zod";
import { acceptedEventsSchema, storeEvent } from "shared/contracts/data_ingestion.ts";
import { CLOUDEVENT_TYPE, CLOUDEVENTS_BATCH_TYPE, HEADER } from "shared/contracts/envelope.ts";
import { nameSchema } from "shared/contracts/names.ts";
import { subject } from "shared/contracts/streams.ts";
import { AppError, invalid, tooLarge } from "shared/errors.ts";
import type { Outgoing } from "shared/bus/message.ts";
import { callContext } from "shared/http/request.ts";
import { parseWith } from "shared/validation.ts";
import { type Chunk, chunkLines, LineTooLong } from "./domain/line_chunks.ts";
import { parseJsonText } from "./domain/json_text.ts";
import type { StoreRequest } from "./store.ts";

export interface RouteDeps {
  store(request: StoreRequest): Promise<{ id: string; status: "stored" | "duplicate" }>;
  publish(messages: readonly Outgoing[]): Promise<void>;
}

const PATH = "/v1/events/:source";
/** What a call without an actor is said to be by: nothing to keep with every event. */
const ANONYMOUS = "anonymous";
const NDJSON_TYPE = "application/x-ndjson";
const JSON_TYPES: ReadonlySet<string> = new Set([
  "application/json",
  CLOUDEVENT_TYPE,
  CLOUDEVENTS_BATCH_TYPE,
]);

/** A body of JSON is read whole, one of lines as a stream. */
const MAX_JSON_BYTES = 8 * 1024 * 1024;
/** What is published as it came: with its headers it must fit into one NATS message. */
const MAX_MESSAGE_BYTES = 900_000;
/** Chunks published at a time: half a megabyte each, so that a stream of lines takes constant memory. */
const CHUNKS_AT_A_TIME = 16;

/** Lines may go on for as long as they like. */
export const BODY_LIMITS: Readonly<Record<string, number>> = { "/v1/events/*": Number.MAX_SAFE_INTEGER };

/**
 * `POST /v1/events/{source}`: a JSON object or array, a CloudEvent (structured or binary) or a batch of them, or
 * lines of JSON. Answered with 202 once JetStream has all of it; a single event with `Prefer: wait` with 201
 * once PostgreSQL has it (200 for a duplicate), or with 400 and every reason.
 */
export function addRoutes(app: OpenAPIHono, deps: RouteDeps): void {
  describe(app);
  app.post(PATH, async (c) => {
    const source = parseWith(nameSchema, c.req.param("source"), "take events: the source's name");
    const contentType = c.req.raw.headers.get("content-type")?.split(";")[0]?.trim().toLowerCase();
    if (contentType === NDJSON_TYPE) {
      if (wantsToWait(c)) throw invalid("Cannot wait for lines to be stored: send a single event");
      return await acceptLines(c, source, deps);
    }
    if (contentType === undefined || !JSON_TYPES.has(contentType)) {
      throw new AppError(
        "unsupported",
        `Cannot take events: the content type is ${contentType ?? "missing"}, and must be one of ` +
          [...JSON_TYPES, NDJSON_TYPE].join(", "),
      );
    }
    const body = await readBody(c);
    if (wantsToWait(c)) return await storeAndAnswer(c, { source, body }, deps);
    return await acceptJson(c, { source, body }, deps);
  });
}

function wantsToWait(c: Context): boolean {
  return /(?:^|[,;\s])wait(?:$|[=,;\s])/i.test(c.req.header("prefer") ?? "");
}

async function storeAndAnswer(
  c: Context,
  { source, body }: { source: string; body: Uint8Array },
  deps: RouteDeps,
): Promise<Response> {
  const parsed = parseJsonText(body);
  if ("value" in parsed && Array.isArray(parsed.value)) {
    throw invalid("Cannot wait for an array to be stored: send a single event");
  }
  const { idempotencyKey } = callContext(c.req.raw.headers);
  const reply = await deps.store({ source, data: body, headers: messageHeaders(c), idempotencyKey });
  return c.json(reply, reply.status === "stored" ? 201 : 200);
}

async function acceptJson(
  c: Context,
  { source, body }: { source: string; body: Uint8Array },
  deps: RouteDeps,
): Promise<Response> {
  const parsed = parseJsonText(body);
  if ("text" in parsed) {
    throw invalid(`Cannot take events: the body ${parsed.reason.message}`, [parsed.reason]);
  }
  const { value } = parsed;
  const records = Array.isArray(value) ? value.length : 1;
  if (records === 0) throw invalid("Cannot take events: the array is empty");
  if (body.length <= MAX_MESSAGE_BYTES) {
    return await accept(c, { source, chunks: [{ data: body, records }] }, deps);
  }
  if (!Array.isArray(value)) {
    throw tooLarge(`Cannot take the event: it has ${body.length} bytes, and may have ${MAX_MESSAGE_BYTES}`);
  }
  // Divided, it is written anew: what that would change has to be told now.
  const mistakes = parsed.mistakesIn(value);
  if (mistakes.length > 0) throw invalid("Cannot take events: some cannot be kept as they are", mistakes);
  const lines = value.map((record) => new TextEncoder().encode(`${JSON.stringify(record)}\n`));
  return await accept(c, { source, chunks: chunkLines(ReadableStream.from(lines)) }, deps);
}

async function acceptLines(c: Context, source: string, deps: RouteDeps): Promise<Response> {
  const { body } = c.req.raw;
  if (body === null) throw invalid("Cannot take events: the body is empty");
  return await accept(c, { source, chunks: chunkLines(body) }, deps);
}

/** Publishes the chunks and answers when JetStream has them all. */
async function accept(
  c: Context,
  { source, chunks }: { source: string; chunks: Iterable<Chunk> | AsyncIterable<Chunk> },
  deps: RouteDeps,
): Promise<Response> {
  const { idempotencyKey: receipt = crypto.randomUUID() } = callContext(c.req.raw.headers);
  const headers = messageHeaders(c);
  let accepted = 0;
  let number = 0;
  let group: { message: Outgoing; records: number }[] = [];
  const publish = async () => {
    await deps.publish(group.map(({ message }) => message));
    accepted += group.reduce((sum, { records }) => sum + records, 0);
    group = [];
  };
  try {
    for await (const { data, records } of chunks) {
      const messageId = `${source}:${receipt}:${number++}`;
      group.push({ message: { subject: subject.events(source), data, headers, messageId }, records });
      if (group.length === CHUNKS_AT_A_TIME) await publish();
    }
    await publish();
  } catch (error) {
    if (error instanceof LineTooLong) {
      await publish();
      throw tooLarge(`Cannot take events: ${error.message}; the ${accepted} records before it are accepted`);
    }
    if (error instanceof AppError && accepted > 0) throw afterSome(error, accepted);
    throw error;
  }
  if (accepted === 0) throw invalid("Cannot take events: the body holds none");
  return c.json({ accepted, receipt }, 202);
}

function afterSome(error: AppError, accepted: number): AppError {
  return new AppError(
    error.code,
    `${error.message}; ${accepted} records before that are accepted: with the same Idempotency-Key they are ` +
      "not taken twice",
    {
      reasons: error.reasons,
      cause: error,
      ...(error.retryAfter === undefined ? {} : { retryAfter: error.retryAfter }),
    },
  );
}

/** What of the request's headers belongs to the events. */
function messageHeaders(c: Context): Record<string, string> {
  const headers: Record<string, string> = {};
  const contentType = c.req.header("content-type");
  // A body of lines becomes arrays of JSON.
  if (contentType !== undefined && !contentType.toLowerCase().startsWith(NDJSON_TYPE)) {
    headers[HEADER.contentType] = contentType;
  }
  const { actor, traceparent } = callContext(c.req.raw.headers);
  if (actor !== ANONYMOUS) headers[HEADER.actor] = actor;
  if (traceparent !== undefined) headers[HEADER.traceparent] = traceparent;
  for (const [name, value] of c.req.raw.headers) {
    if (name.startsWith("ce-")) headers[name] = value;
  }
  return headers;
}

async function readBody(c: Context): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  let size = 0;
  for await (const part of c.req.raw.body ?? []) {
    size += part.length;
    if (size > MAX_JSON_BYTES) {
      throw tooLarge(
        `Cannot take events: the body is larger than ${MAX_JSON_BYTES} bytes; send lines (${NDJSON_TYPE})`,
      );
    }
    parts.push(part);
  }
  const body = new Uint8Array(size);
  let offset = 0;
  for (const part of parts) {
    body.set(part, offset);
    offset += part.length;
  }
  return body;
}

function describe(app: OpenAPIHono): void {
  const anyRecord = z.record(z.string(), z.unknown());
  app.openAPIRegistry.registerPath({
    method: "post",
    path: PATH.replace(":source", "{source}"),
    operationId: "events",
    tags: ["data-ingestion"],
    summary: "Take events: one, an array, CloudEvents, or lines of JSON",
    request: {
      params: z.object({ source: nameSchema }),
      headers: z.object({
        prefer: z.literal("wait").optional().describe("Answer once a single event is stored"),
        "idempotency-key": z.string().max(255).optional().describe("The same body is taken once"),
      }),
      body: {
        required: true,
        content: {
          "application/json": { schema: z.union([anyRecord, z.array(anyRecord)]) },
          [CLOUDEVENT_TYPE]: { schema: anyRecord },
          [CLOUDEVENTS_BATCH_TYPE]: { schema: z.array(anyRecord) },
          [NDJSON_TYPE]: { schema: z.string() },
        },
      },
    },
    responses: {
      200: { description: "A duplicate", content: { "application/json": { schema: storeEvent.spec.reply } } },
      201: { description: "Stored", content: { "application/json": { schema: storeEvent.spec.reply } } },
      202: { description: "Accepted", content: { "application/json": { schema: acceptedEventsSchema } } },
      400: { description: "Malformed; with Prefer: wait, every reason why the event is rejected" },
      413: { description: "Too large" },
      415: { description: "Not a content type that is taken" },
      429: { description: "The stream is full: try again after Retry-After" },
      503: { description: "NATS or PostgreSQL is away: try again after Retry-After" },
    },
  });
}
