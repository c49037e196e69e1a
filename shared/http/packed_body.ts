/** Bodies that come compressed. @module */
import { AppError, invalid, messageOf } from "../errors.ts";

/** By content encoding; `deflate` is zlib's format, as the standard has it. */
const FORMATS: Readonly<Record<string, CompressionFormat>> = { gzip: "gzip", deflate: "deflate" };

/**
 * The bytes of a body as they were before it was compressed, as they come.
 *
 * @throws {AppError} `unsupported` for an unknown encoding; while it is read, `invalid` for what is not of the encoding
 */
export function unpack(body: ReadableStream<Uint8Array>, encoding: string): ReadableStream<Uint8Array> {
  const format = FORMATS[encoding.trim().toLowerCase()];
  if (format === undefined) {
    throw new AppError(
      "unsupported",
      `Cannot read the request: its content encoding is "${encoding}", ` +
        `but must be ${Object.keys(FORMATS).join(" or ")}, or none`,
    );
  }
  const bytes = body as ReadableStream<Uint8Array<ArrayBuffer>>;
  return ReadableStream.from(named(bytes.pipeThrough(new DecompressionStream(format)), encoding));
}

async function* named(bytes: AsyncIterable<Uint8Array>, encoding: string): AsyncGenerator<Uint8Array> {
  try {
    yield* bytes;
  } catch (error) {
    // What reading the body itself threw.
    if (error instanceof AppError) throw error;
    throw invalid(`Cannot read the request: its body is not ${encoding}: ${messageOf(error)}`);
  }
}
