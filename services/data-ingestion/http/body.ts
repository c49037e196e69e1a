/** Bodies of requests as bytes: uncompressed, within limits, and not for ever. @module */
import type { Context } from "hono";
import { AppError, tooLarge } from "shared/errors.ts";
import { gunzip } from "shared/files/gunzip.ts";

export interface BodyDeps {
  /** A body that brings less than {@link MIN_BYTES} in this time is given up. */
  slowMs: number;
}

/** What a body must bring at least, in the time that a slow one is given. */
const MIN_BYTES = 1_024;

/** A body of JSON is read whole. */
export const MAX_JSON_BYTES = 8 * 1024 * 1024;
/** How much of a body of JSON has to be expected. */
export function announcedBytes(c: Context): number {
  const announced = c.req.raw.headers.get("content-length");
  return announced === null || isCompressed(c) ? MAX_JSON_BYTES : Math.min(Number(announced), MAX_JSON_BYTES);
}

/**
 * The body as it comes, uncompressed where it says that it is gzip.
 *
 * @throws {AppError} `unsupported` when it is compressed in another way; `too_slow` when it hardly moves
 */
export function readBytes(c: Context, { slowMs }: BodyDeps): AsyncGenerator<Uint8Array> {
  const bytes = readSteadily(c.req.raw.body, slowMs);
  return isCompressed(c) ? gunzip(bytes) : bytes;
}

function isCompressed(c: Context): boolean {
  const encoding = c.req.header("content-encoding")?.trim().toLowerCase() ?? "identity";
  if (encoding === "identity") return false;
  if (encoding === "gzip" || encoding === "x-gzip") return true;
  throw new AppError(
    "unsupported",
    `Cannot read the request: its content encoding is ${encoding}, and must be gzip or identity`,
  );
}

/** Only the time counts in which the sender is waited for. */
async function* readSteadily(
  body: ReadableStream<Uint8Array> | null,
  slowMs: number,
): AsyncGenerator<Uint8Array> {
  if (body === null) return;
  const reader = body.getReader();
  let leftMs = slowMs;
  let bytes = 0;
  try {
    for (;;) {
      const read = reader.read();
      let startedAt = performance.now();
      while (!await isSettledWithin(read, leftMs)) {
        if (bytes < MIN_BYTES) throw tooSlow(slowMs);
        leftMs = slowMs;
        bytes = 0;
        startedAt = performance.now();
      }
      const { done, value } = await read;
      if (done) return;
      leftMs -= performance.now() - startedAt;
      bytes += value.length;
      yield value;
    }
  } finally {
    // Where the body has failed or ended there is nothing to cancel, and nobody to tell.
    await reader.cancel().catch(() => undefined);
  }
}

function tooSlow(slowMs: number): AppError {
  return new AppError(
    "too_slow",
    `Cannot read the request: less than ${MIN_BYTES} bytes of its body came in ${slowMs / 1_000} s`,
  );
}

async function isSettledWithin(promise: Promise<unknown>, ms: number): Promise<boolean> {
  const { promise: late, resolve } = Promise.withResolvers<boolean>();
  const timer = setTimeout(() => resolve(false), Math.max(0, ms));
  try {
    return await Promise.race([promise.then(() => true, () => true), late]);
  } finally {
    clearTimeout(timer);
  }
}

/**
 * A body of JSON, whole.
 *
 * @throws {AppError} `too_large`
 */
export async function readWhole(c: Context, deps: BodyDeps): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  let size = 0;
  for await (const part of readBytes(c, deps)) {
    size += part.length;
    if (size > MAX_JSON_BYTES) {
      throw tooLarge(
        `Cannot take events: the body is larger than ${MAX_JSON_BYTES} bytes; send lines of JSON ` +
          "(application/x-ndjson), which may go on for as long as they like",
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
