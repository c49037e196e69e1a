/**
 * Reading requests: bodies within a limit, JSON, and what a call carries besides its request.
 *
 * @module
 */
import type { Context, MiddlewareHandler } from "hono";
import type { CallContext } from "../contracts/endpoint.ts";
import { HEADER, traceparentOf } from "../contracts/envelope.ts";
import { AppError, invalid, messageOf, tooLarge } from "../errors.ts";
import { unpack } from "./packed_body.ts";

export const MAX_BODY_BYTES = 8 * 1024 * 1024;

/**
 * Refuses bodies larger than `maxBytes` where they are read, so that the refusal is told like any other mistake in a
 * request: before the first byte where the length is announced, else as soon as that much has come. Where two limits
 * apply to a path, the first one counts.
 */
export function limitBody(
  limit: number | ((request: Request) => number),
): MiddlewareHandler<{ Variables: { bodyLimit?: number } }> {
  // Not async: every request passes here, and a promise of its own costs as much as the rest of it.
  return (c, next) => {
    if (c.get("bodyLimit") !== undefined) return next();
    const maxBytes = typeof limit === "number" ? limit : limit(c.req.raw);
    c.set("bodyLimit", maxBytes);
    const announced = c.req.raw.headers.get("content-length");
    if (announced !== null && Number(announced) > maxBytes) {
      c.req.raw = new Request(c.req.raw, { body: refusedBody(maxBytes) });
    }
    // A body of announced length is cut off at that length by the server itself; to look at it would make a stream of
    // it, which costs more than reading it.
    if (announced === null && c.req.raw.body !== null) {
      c.req.raw = new Request(c.req.raw, { body: c.req.raw.body.pipeThrough(countBytes(maxBytes)) });
    }
    return next();
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
  const encoding = c.req.raw.headers.get("content-encoding");
  // The header first: to look at a body makes a stream of it.
  if (encoding === null || encoding === "identity" || c.req.raw.body === null) return c.req.raw;
  const limit = countBytes(c.get("bodyLimit") ?? MAX_BODY_BYTES);
  return new Request(c.req.raw, { body: unpack(c.req.raw.body, encoding).pipeThrough(limit) });
}

/**
 * The JSON body, `undefined` when there is none.
 *
 * @throws {AppError} `unsupported` when the content type is not JSON or the encoding is unknown, `invalid` when the body
 * is no JSON, `too_large`
 */
export async function readJson(c: Context): Promise<unknown> {
  const text = await unpacked(c).text();
  if (text === "") return undefined;
  const type = c.req.raw.headers.get("content-type");
  if (type === null || !/^application\/(?:[\w.+-]+\+)?json\s*(?:;|$)/i.test(type)) {
    throw new AppError(
      "unsupported",
      `Cannot read the request: its content type is ${type === null ? "missing" : `"${type}"`}, ` +
        "but must be application/json",
    );
  }
  try {
    return JSON.parse(text);
  } catch (error) {
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
