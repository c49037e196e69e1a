/** `POST /v1/events/{source}`: what the content type and `Prefer` say decides what happens to a body. @module */
import type { OpenAPIHono } from "@hono/zod-openapi";
import type { Context } from "hono";
import { FILE_RECORDS_TYPE, type FileOptions } from "shared/contracts/data_ingestion.ts";
import { HEADER } from "shared/contracts/envelope.ts";
import { nameSchema } from "shared/contracts/names.ts";
import { subject } from "shared/contracts/streams.ts";
import { toInstant } from "shared/contracts/time.ts";
import { invalid, tooLarge } from "shared/errors.ts";
import { readTextFile } from "shared/files/text_file.ts";
import type { Outgoing } from "shared/bus/message.ts";
import { callContext } from "shared/http/request.ts";
import type { Privacy } from "shared/privacy.ts";
import { parseWith } from "shared/validation.ts";
import { type Capacity, PARQUET_BYTES, reserveBytes, STREAM_BYTES } from "../capacity.ts";
import { chunkArray } from "../domain/array_chunks.ts";
import { MAX_MESSAGE_BYTES } from "../domain/body_packer.ts";
import { chunkFile } from "../domain/file_chunks.ts";
import { parseJsonText } from "../domain/json_text.ts";
import { protectionOf } from "../domain/protect_intake.ts";
import { MAX_MESSAGE_RECORDS } from "../domain/received.ts";
import type { Source } from "../domain/source.ts";
import { type Chunk, publishChunks } from "../publish_chunks.ts";
import { readSpooledParquet, type SpoolOptions } from "../spool.ts";
import type { StoreRequest } from "../store.ts";
import { refuseLines } from "../uploads.ts";
import { announcedBytes, type BodyDeps, readBytes, readWhole } from "./body.ts";
import { bodyKind } from "./content_types.ts";
import { eventHeaders, messageHeaders } from "./message_headers.ts";

export interface EventsDeps extends BodyDeps {
  /** Bytes of bodies that are in memory. */
  capacity: Capacity;
  store(request: StoreRequest): Promise<{ id: string; status: "stored" | "duplicate" }>;
  publish(messages: readonly Outgoing[]): Promise<void>;
  findSource(name: string): Promise<Source | undefined>;
  /** For sources with secrets. Undefined: nobody has set a key. */
  privacy: Privacy | undefined;
  spool: SpoolOptions;
}

export const EVENTS_PATH = "/v1/events/:source";

/**
 * Takes a JSON object or array, a CloudEvent (structured or binary) or a batch of them, or a file: lines of JSON, CSV,
 * Parquet, lines of a log. Answered with 202 once JetStream has all of it; a single event with `Prefer: wait` with 201
 * once PostgreSQL has it (200 for a duplicate), or with 400 and every reason.
 */
export function addEventsRoute(app: OpenAPIHono, deps: EventsDeps): void {
  app.post(EVENTS_PATH, async (c) => {
    const source = parseWith(nameSchema, c.req.param("source"), "take events: the source's name");
    const body = bodyKind(c.req.raw.headers.get("content-type"));
    if (body.kind === "file") {
      if (wantsToWait(c)) throw invalid("Cannot wait for a file to be stored: send a single event");
      return await acceptFile(c, { source, options: body.options }, deps);
    }
    using _reserved = reserveBytes(deps.capacity, announcedBytes(c));
    const data = await readWhole(c, deps);
    if (wantsToWait(c)) return await storeAndAnswer(c, { source, data }, deps);
    return await acceptJson(c, { source, data }, deps);
  });
}

function wantsToWait(c: Context): boolean {
  return /(?:^|[,;\s])wait(?:$|[=,;\s])/i.test(c.req.header("prefer") ?? "");
}

interface JsonBody {
  source: string;
  data: Uint8Array;
}

async function storeAndAnswer(c: Context, { source, data }: JsonBody, deps: EventsDeps): Promise<Response> {
  const parsed = parseJsonText(data);
  if ("value" in parsed && Array.isArray(parsed.value)) {
    throw invalid("Cannot wait for an array to be stored: send a single event");
  }
  const { idempotencyKey } = callContext(c.req.raw.headers);
  const reply = await deps.store({ source, data, headers: eventHeaders(c), idempotencyKey });
  return c.json(reply, reply.status === "stored" ? 201 : 200);
}

async function acceptJson(c: Context, body: JsonBody, deps: EventsDeps): Promise<Response> {
  const parsed = parseJsonText(body.data);
  if ("text" in parsed) {
    throw invalid(`Cannot take events: the body ${parsed.reason.message}`, [parsed.reason]);
  }
  const isArray = Array.isArray(parsed.value);
  const values: readonly unknown[] = Array.isArray(parsed.value) ? parsed.value : [parsed.value];
  if (values.length === 0) throw invalid("Cannot take events: the array is empty");
  const headers = eventHeaders(c);
  const protection = await protectionFor(body.source, deps);
  const records = protection.protect?.json({ data: body.data, headers });
  const data = records === undefined ? body.data : encode(isArray ? records : records[0]);

  let chunks: Chunk[];
  if (data.length <= MAX_MESSAGE_BYTES && values.length <= MAX_MESSAGE_RECORDS) {
    chunks = [{ data, records: values.length }];
  } else if (!isArray) {
    throw tooLarge(`Cannot take the event: it has ${data.length} bytes, and may have ${MAX_MESSAGE_BYTES}`);
  } else {
    // Divided, it is written anew: what that would change has to be told now.
    const mistakes = parsed.mistakesIn(values);
    if (mistakes.length > 0) throw invalid("Cannot take events: some cannot be kept as they are", mistakes);
    chunks = chunkArray(records ?? values);
  }
  const receipt = receiptOf(c);
  const accepted = await publishChunks(chunks, {
    publish: deps.publish,
    subject: subject.events(body.source),
    headers: { ...headers, ...protection.headers },
    messageId: (_chunk, index) => `${body.source}:${receipt}:${index}`,
  });
  return c.json({ accepted, receipt }, 202);
}

async function acceptFile(
  c: Context,
  { source, options }: { source: string; options: FileOptions },
  deps: EventsDeps,
): Promise<Response> {
  refuseLines(await deps.findSource(source), options.format === "lines", "take lines");
  using _reserved = reserveBytes(deps.capacity, options.format === "parquet" ? PARQUET_BYTES : STREAM_BYTES);
  const { protect, headers } = await protectionFor(source, deps);
  const receipt = receiptOf(c);
  const bytes = readBytes(c, deps);
  const records = options.format === "parquet"
    ? readSpooledParquet(bytes, deps.spool)
    : readTextFile(bytes, options);
  const chunks = chunkFile(records, { file: await fileName(receipt), protect: protect?.fileRecord });
  const accepted = await publishChunks(chunks, {
    publish: deps.publish,
    subject: subject.events(source),
    headers: { ...messageHeaders(c), ...headers, [HEADER.contentType]: FILE_RECORDS_TYPE },
    messageId: ({ firstLine, lastLine }) => `${source}:${receipt}:${firstLine}-${lastLine}`,
  });
  if (accepted === 0) throw invalid("Cannot take events: the body holds none");
  return c.json({ accepted, receipt }, 202);
}

async function protectionFor(source: string, { findSource, privacy }: EventsDeps) {
  return protectionOf(await findSource(source), { privacy, arrivedAt: toInstant(Date.now()) });
}

function receiptOf(c: Context): string {
  return callContext(c.req.raw.headers).idempotencyKey ?? crypto.randomUUID();
}

const encoder = new TextEncoder();
const encode = (value: unknown) => encoder.encode(JSON.stringify(value));

/** Longest name of a file in a message; a longer receipt is named by its hash. */
const MAX_FILE_NAME = 128;

async function fileName(receipt: string): Promise<string> {
  if (receipt.length <= MAX_FILE_NAME) return receipt;
  const hash = await crypto.subtle.digest("SHA-256", encoder.encode(receipt));
  return new Uint8Array(hash).toHex();
}
