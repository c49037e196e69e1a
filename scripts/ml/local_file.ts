/** A file of the user's, read as its uncompressed bytes. @module */
import { createHash } from "node:crypto";
import { invalid } from "shared/errors.ts";
import { gunzip } from "shared/files/gunzip.ts";

/** The file's bytes from one on, uncompressed where its name ends in `.gz`. */
export async function* readLocalFile(path: string, offset = 0): AsyncGenerator<Uint8Array> {
  const isZipped = path.toLowerCase().endsWith(".gz");
  using file = await openLocalFile(path);
  if (!isZipped) await file.seek(offset, Deno.SeekMode.Start);
  const bytes = isZipped ? gunzip(partsOf(file)) : partsOf(file);
  // What is compressed can only be read from its beginning.
  let skip = isZipped ? offset : 0;
  for await (const part of bytes) {
    if (skip < part.length) yield part.subarray(skip);
    skip = Math.max(0, skip - part.length);
  }
}

const PART_BYTES = 256 * 1024;

async function* partsOf(file: Deno.FsFile): AsyncGenerator<Uint8Array> {
  for (;;) {
    const part = new Uint8Array(PART_BYTES);
    const read = await file.read(part);
    if (read === null) return;
    yield part.subarray(0, read);
  }
}

/** @throws {AppError} `invalid` when there is no such file */
async function openLocalFile(path: string): Promise<Deno.FsFile> {
  try {
    const file = await Deno.open(path);
    if ((await file.stat()).isFile) return file;
    file.close();
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    throw invalid(`Cannot read ${path}: there is no such file`);
  }
  throw invalid(`Cannot read ${path}: it is no file`);
}

/** The beginning of the file, uncompressed. */
export async function headOf(path: string, bytes: number): Promise<Uint8Array> {
  const head = new Uint8Array(bytes);
  let filled = 0;
  for await (const part of readLocalFile(path)) {
    const taken = part.subarray(0, bytes - filled);
    head.set(taken, filled);
    filled += taken.length;
    if (filled === bytes) break;
  }
  return head.subarray(0, filled);
}

/** What names a file, whatever it is called and however it is compressed: the SHA-256 of its bytes. */
export async function fingerprint(
  path: string,
  onProgress: (bytes: number) => void,
): Promise<{ sha256: string; bytes: number }> {
  const hash = createHash("sha256");
  let bytes = 0;
  for await (const part of readLocalFile(path)) {
    hash.update(part);
    bytes += part.length;
    onProgress(bytes);
  }
  return { sha256: hash.digest("hex"), bytes };
}

/** The bytes of a file piece by piece, with what was not taken of one put before the next. */
export class PieceReader implements AsyncDisposable {
  readonly #path: string;
  #parts: AsyncGenerator<Uint8Array> | undefined;
  /** What is in hand, and where it begins. */
  #buffer: Uint8Array<ArrayBuffer> = new Uint8Array();
  #offset = 0;
  #ended = false;

  constructor(path: string) {
    this.#path = path;
  }

  /**
   * @param offset where the piece begins
   * @returns a piece of this size, or of what is left
   */
  async read(offset: number, bytes: number): Promise<{ bytes: Uint8Array<ArrayBuffer>; isLast: boolean }> {
    await this.#moveTo(offset);
    const parts = this.#parts ??= readLocalFile(this.#path, offset);
    const collected: Uint8Array[] = [this.#buffer];
    let length = this.#buffer.length;
    // One byte more tells whether the piece is the last.
    while (length <= bytes && !this.#ended) {
      const { done, value } = await parts.next();
      if (done) {
        this.#ended = true;
      } else {
        collected.push(value);
        length += value.length;
      }
    }
    this.#buffer = concatenate(collected, length);
    return { bytes: this.#buffer.slice(0, bytes), isLast: this.#ended && length <= bytes };
  }

  async #moveTo(offset: number): Promise<void> {
    const ahead = offset - this.#offset;
    const isInHand = this.#parts !== undefined && ahead >= 0 && ahead <= this.#buffer.length;
    if (isInHand) {
      this.#buffer = this.#buffer.slice(ahead);
    } else {
      await this[Symbol.asyncDispose]();
      this.#buffer = new Uint8Array();
      this.#ended = false;
    }
    this.#offset = offset;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#parts?.return(undefined);
    this.#parts = undefined;
  }
}

function concatenate(parts: readonly Uint8Array[], length: number): Uint8Array<ArrayBuffer> {
  const whole = new Uint8Array(length);
  let offset = 0;
  for (const part of parts) {
    whole.set(part, offset);
    offset += part.length;
  }
  return whole;
}
