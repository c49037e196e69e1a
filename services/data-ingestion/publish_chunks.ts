import type { Outgoing } from "shared/bus/message.ts";
import { AppError } from "shared/errors.ts";

/** The body of a message, and how many records are in it. */
export interface Chunk {
  data: Uint8Array;
  records: number;
}

export interface PublishChunksOptions<Of extends Chunk> {
  /** Resolves when JetStream has acknowledged all. */
  publish(messages: readonly Outgoing[]): Promise<void>;
  subject: string;
  headers: Readonly<Record<string, string>>;
  /** The same for the same chunk, so that one that is sent again is stored once. */
  messageId(chunk: Of, index: number): string;
  /** Told of chunks that JetStream has, in their order. */
  onPublished?(chunks: readonly Of[]): Promise<void>;
}

/** Chunks published at a time: half a megabyte each, so that a stream of records takes constant memory. */
const CHUNKS_AT_A_TIME = 8;

/**
 * Publishes chunks as they come. Where reading them fails, those before are published first.
 *
 * @returns the records published
 * @throws {AppError} which says how many were published before
 */
export async function publishChunks<Of extends Chunk>(
  chunks: Iterable<Of> | AsyncIterable<Of>,
  options: PublishChunksOptions<Of>,
): Promise<number> {
  const { subject, headers } = options;
  let published = 0;
  let number = 0;
  let group: { chunk: Of; message: Outgoing }[] = [];
  const publishGroup = async () => {
    const going = group;
    group = [];
    if (going.length === 0) return;
    await options.publish(going.map(({ message }) => message));
    published += going.reduce((sum, { chunk }) => sum + chunk.records, 0);
    await options.onPublished?.(going.map(({ chunk }) => chunk));
  };
  try {
    for await (const chunk of chunks) {
      const messageId = options.messageId(chunk, number++);
      group.push({ chunk, message: { subject, data: chunk.data, headers, messageId } });
      if (group.length === CHUNKS_AT_A_TIME) await publishGroup();
    }
    await publishGroup();
  } catch (error) {
    // What could be read of a body that broke off is as good as any.
    await publishGroup();
    if (error instanceof AppError && published > 0) throw afterSome(error, published);
    throw error;
  }
  return published;
}

function afterSome(error: AppError, published: number): AppError {
  return new AppError(
    error.code,
    `${error.message}; ${published} records before that are accepted, and are not taken twice where they come again ` +
      "under the same Idempotency-Key or upload",
    {
      reasons: error.reasons,
      cause: error,
      ...(error.retryAfter === undefined ? {} : { retryAfter: error.retryAfter }),
    },
  );
}
