/**
 * Files on the bus: training sets, ONNX models, uploads, each named by the SHA-256 of its bytes.
 *
 * @module
 */
import { createHash } from "node:crypto";
import { setImmediate } from "node:timers/promises";
import type { JetStreamClient } from "@nats-io/jetstream";
import { type ObjectResult, type ObjectStore, Objm } from "@nats-io/obj";
import { errors } from "nats";
import { FILES_BUCKET } from "../contracts/streams.ts";
import { AppError, invalid, messageOf, notFound, tooLarge, unavailable } from "../errors.ts";
import { isBusAway } from "./bus_errors.ts";

export interface FileStore {
  /** Stores the bytes, unless they are there already, and gives their SHA-256 in hexadecimal. */
  put(bytes: Uint8Array): Promise<string>;
  /** The same, and whether they were not there before: who has brought a file may remove it. */
  add(bytes: Uint8Array): Promise<{ sha256: string; isNew: boolean }>;
  /**
   * The bytes, checked against their name.
   *
   * @param options.maxBytes a larger file is refused before it is read; default: any size
   * @throws {AppError} `not_found`, `too_large`, `unavailable`
   */
  get(sha256: string, options?: { maxBytes?: number }): Promise<Uint8Array>;
  has(sha256: string): Promise<boolean>;
  /** For its owner, when nobody needs it any more. Does nothing where it is gone already. */
  remove(sha256: string): Promise<void>;
  /**
   * The bytes as they come, for files that are too large to be held. What fails on the way, a wrong checksum at the end
   * included, fails the stream.
   *
   * @throws {AppError} `not_found`, `unavailable`
   */
  stream(sha256: string): Promise<{ size: number; bytes: ReadableStream<Uint8Array> }>;
}

/** A file whose next chunk does not come within this time is given up. */
const CHUNK_TIMEOUT_MS = 15_000;
/** A millisecond's work. */
const DIGEST_BYTES = 1024 * 1024;
const SHA256 = /^[0-9a-f]{64}$/;

export function createFileStore(js: JetStreamClient): FileStore {
  const underWay = new Map<string, Promise<boolean>>();
  const objm = new Objm(js);
  const open = () => objm.open(FILES_BUCKET, false);

  async function isThere(store: ObjectStore, sha256: string): Promise<boolean> {
    const info = await store.info(sha256);
    return info !== null && !info.deleted;
  }

  /** A file is never written over, because a reader may be in the middle of it. @returns whether it was not there */
  async function store(sha256: string, bytes: Uint8Array): Promise<boolean> {
    const files = await open();
    if (await isThere(files, sha256)) return false;
    await files.putBlob({ name: sha256 }, bytes);
    return true;
  }

  async function add(bytes: Uint8Array): Promise<{ sha256: string; isNew: boolean }> {
    const sha256 = await digestOf(bytes);
    const earlier = underWay.get(sha256);
    if (earlier !== undefined) {
      await earlier;
      return { sha256, isNew: false };
    }
    const storing = reported("store", sha256, () => store(sha256, bytes))
      .finally(() => underWay.delete(sha256));
    underWay.set(sha256, storing);
    return { sha256, isNew: await storing };
  }

  return {
    add,
    put: async (bytes) => (await add(bytes)).sha256,
    async get(sha256, { maxBytes = Infinity } = {}) {
      checkName(sha256);
      const bytes = await reported("get", sha256, async () => {
        const store = await open();
        const size = maxBytes === Infinity ? 0 : (await store.info(sha256))?.size ?? 0;
        if (size > maxBytes) {
          throw tooLarge(
            `Cannot get the file ${sha256}: it has ${size} bytes, at most ${maxBytes} are accepted`,
          );
        }
        const file = await store.get(sha256);
        return file === null ? undefined : await readAll(file);
      });
      if (bytes === undefined) throw notThere(sha256);
      const actual = await digestOf(bytes);
      if (actual !== sha256) {
        throw new AppError("internal", `Cannot get the file ${sha256}: its bytes have the SHA-256 ${actual}`);
      }
      return bytes;
    },
    async stream(sha256) {
      checkName(sha256);
      const file = await reported("get", sha256, async () => await (await open()).get(sha256));
      if (file === null) throw notThere(sha256);
      // The reader fails with the same error; unobserved, this promise would end the process.
      file.error.catch(() => undefined);
      return { size: file.info.size, bytes: file.data };
    },
    async has(sha256) {
      checkName(sha256);
      return await reported("look for", sha256, async () => isThere(await open(), sha256));
    },
    async remove(sha256) {
      checkName(sha256);
      await reported("remove", sha256, async () => {
        const files = await open();
        if (await isThere(files, sha256)) await files.delete(sha256);
      });
    },
  };
}

async function readAll(file: ObjectResult): Promise<Uint8Array> {
  const reader = file.data.getReader();
  // The reader fails with the same error; unobserved, this promise would end the process.
  file.error.catch(() => undefined);
  const bytes = new Uint8Array(file.info.size);
  for (let offset = 0;;) {
    const { done, value } = await nextChunk(reader);
    if (done) return bytes.subarray(0, offset);
    bytes.set(value, offset);
    offset += value.length;
  }
}

async function nextChunk(
  reader: ReadableStreamDefaultReader<Uint8Array>,
): Promise<ReadableStreamReadResult<Uint8Array>> {
  const { promise: late, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => reject(new errors.TimeoutError()), CHUNK_TIMEOUT_MS);
  try {
    return await Promise.race([reader.read(), late]);
  } catch (error) {
    await reader.cancel(error);
    throw error;
  } finally {
    clearTimeout(timer);
  }
}

async function reported<T>(verb: string, sha256: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (!isBusAway(error)) throw error;
    throw unavailable(`Cannot ${verb} the file ${sha256}: ${messageOf(error)}`, { cause: error });
  }
}

/** A piece at a time, for `crypto.subtle.digest` copies what it is given; between them the event loop has its turn. */
async function digestOf(bytes: Uint8Array): Promise<string> {
  const hash = createHash("sha256");
  for (let first = 0; first < bytes.byteLength; first += DIGEST_BYTES) {
    if (first > 0) await setImmediate();
    hash.update(bytes.subarray(first, first + DIGEST_BYTES));
  }
  return hash.digest("hex");
}

const notThere = (sha256: string) => notFound(`Cannot get the file ${sha256}: it is not in the file store`);

function checkName(sha256: string): void {
  if (SHA256.test(sha256)) return;
  throw invalid(`Cannot name a file "${sha256}": it must be a SHA-256 in 64 lower-case hexadecimal digits`);
}
