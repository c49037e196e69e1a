/**
 * Reading requests: bodies within a limit, JSON, and what a call carries besides its request.
 *
 * @module
 */
import type { Context } from "hono";
import { TrieRouter } from "hono/router/trie-router";
import type { CallContext } from "../contracts/endpoint.ts";
import { HEADER, traceparentOf } from "../contracts/envelope.ts";
import { AppError, invalid, messageOf, tooLarge } from "../errors.ts";
import { unpack } from "./packed_body.ts";

export const MAX_BODY_BYTES = 8 * 1024 * 1024;

/**
 * Larger (or smaller) limits of the body than {@link MAX_BODY_BYTES}, by path pattern: `{ "/v1/files/*": 2 ** 30 }`; a
 * function, which gives no smaller one, where it depends on the request.
 */
export type BodyLimits = Readonly<Record<string, number | ((request: Request) => number)>>;

/**
 * Refuses larger bodies where they are read, so that the refusal is told like any other mistake in a request: before the
 * first byte where the length is announced, else as soon as that much has come. Where two limits apply to a path, the
 * first one counts.
 */
export function limitBodies(limits: BodyLimits): (c: Context) => void {
  const byPath = new TrieRouter<BodyLimits[string]>();
  for (const [path, limit] of Object.entries(limits)) byPath.add("ALL", path, limit);
  const numbers = Object.values(limits).filter((limit) => typeof limit === "number");
  const smallest = Math.min(MAX_BODY_BYTES, ...numbers);

  function limitOf(c: Context): number {
    const [[first]] = byPath.match("ALL", c.req.path);
    const limit = first?.[0] ?? MAX_BODY_BYTES;
    return typeof limit === "number" ? limit : limit(c.req.raw);
  }

  return (c) => {
    const { headers } = c.req.raw;
    const announced = headers.get("content-length");
    // Nearly always: every request passes here. The server itself cuts a body off at the length that it announces.
    if (announced !== null && Number(announced) <= smallest && !headers.has("content-encoding")) return;
    const maxBytes = limitOf(c);
    c.set("bodyLimit", maxBytes);
    if (announced !== null && Number(announced) > maxBytes) {
      c.req.raw = new Request(c.req.raw, { body: refusedBody(maxBytes) });
    } else if (announced === null && c.req.raw.body !== null) {
      c.req.raw = new Request(c.req.raw, { body: c.req.raw.body.pipeThrough(countBytes(maxBytes)) });
    }
  };
}

/** Fails at the first look. */
const refusedBody = (maxBytes: number) =>
  new ReadableStream<Uint8Array>({ pull: (controller) => controller.error(bodyTooLarge(maxBytes)) });

function countBytes(maxBytes: number): TransformStream<Uint8Array, Uint8Array> {
  let bytes = 0;
  return new TransformStream({
    transform(chunk, controller) {
      bytes += chunk.byteLength;
      if (bytes > maxBytes) controller.error(bodyTooLarge(maxBytes));
      else controller.enqueue(chunk);
    },
  });
}

function bodyTooLarge(maxBytes: number): AppError {
  return tooLarge(`Cannot read the request: its body is larger than ${maxBytes} bytes`);
}

/**
 * The request with its body as it was before it was compressed, within the same limit.
 *
 * @throws {AppError} `unsupported` for an unknown encoding; while the body is read, `too_large`, or `invalid` for what is
 * not of the encoding
 */
export function unpacked(c: Context): Request {
  const limit = c.get("bodyLimit") as number | undefined;
  // What has none was looked at, and is not compressed.
  if (limit === undefined) return c.req.raw;
  const encoding = c.req.raw.headers.get("content-encoding");
  // The header first: to look at a body makes a stream of it.
  if (encoding === null || encoding === "identity" || c.req.raw.body === null) return c.req.raw;
  const body = unpack(c.req.raw.body, encoding).pipeThrough(countBytes(limit));
  return new Request(c.req.raw, { body });
}

const isJson = (type: string | null): boolean =>
  type === "application/json" ||
  type !== null && /^application\/(?:[\w.+-]+\+)?json\s*(?:;|$)/i.test(type);

/**
 * The JSON body, `undefined` when there is none.
 *
 * @param type its content type, where that was read already
 * @throws {AppError} `unsupported` when the content type is not JSON or the encoding is unknown, `invalid` when the body
 * is no JSON, `too_large`
 */
export async function readJson(
  c: Context,
  type = c.req.raw.headers.get("content-type"),
): Promise<unknown> {
  const request = unpacked(c);
  if (!isJson(type)) {
    if (await request.text() === "") return undefined;
    throw new AppError(
      "unsupported",
      `Cannot read the request: its content type is ${type === null ? "missing" : `"${type}"`}, ` +
        "but must be application/json",
    );
  }
  try {
    return await request.json();
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    // A text of it to look at first would cost half as much again as all of the reading.
    if (request.body === null || request.headers.get("content-length") === "0") return undefined;
    throw invalid(`Cannot read the request: its body is not JSON: ${messageOf(error)}`);
  }
}

/** Longest idempotency key and actor. */
const MAX_HEADER_LENGTH = 255;

/** Who calls, with which idempotency key, in which trace. */
export function callContext(headers: Headers): CallContext {
  return {
    actor: shortHeader(headers, HEADER.actor) ?? "anonymous",
    idempotencyKey: shortHeader(headers, HEADER.idempotencyKey),
    traceparent: traceparentOf(headers.get(HEADER.traceparent)),
  };
}

function shortHeader(headers: Headers, name: string): string | undefined {
  const value = headers.get(name);
  if (value === null || value === "") return undefined;
  if (value.length > MAX_HEADER_LENGTH) {
    throw invalid(
      `Cannot read the request: the header ${name} has ${value.length} characters, ` +
        `but may have ${MAX_HEADER_LENGTH}`,
    );
  }
  return value;
}
