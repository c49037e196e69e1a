import { createGunzip } from "node:zlib";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { invalid, messageOf } from "../errors.ts";

/** Whether the bytes begin as a gzip file does. */
export function isGzip(head: Uint8Array): boolean {
  return head[0] === 0x1f && head[1] === 0x8b;
}

/**
 * The bytes uncompressed as they come, in constant memory; a file of several gzip members is one.
 *
 * @throws {AppError} `invalid` when they are no gzip or end too early; what reading the bytes throws, as it is
 */
export async function* gunzip(bytes: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  const source: { failure?: { error: unknown } } = {};
  const zip = createGunzip();
  const running = pipeline(Readable.from(noting(bytes, source), { objectMode: false }), zip);
  // Told below, where the reader sees the stream fail.
  running.catch(() => undefined);
  try {
    for await (const part of zip) yield part as Uint8Array;
    await running;
  } catch (error) {
    if (source.failure !== undefined) throw source.failure.error;
    throw invalid(`Cannot uncompress: ${messageOf(error)}`);
  } finally {
    zip.destroy();
  }
}

async function* noting(
  bytes: AsyncIterable<Uint8Array>,
  source: { failure?: { error: unknown } },
): AsyncGenerator<Uint8Array> {
  try {
    yield* bytes;
  } catch (error) {
    source.failure = { error };
    throw error;
  }
}
