/** Files that cannot be read from their beginning lie on the disk while they are read. @module */
import { join } from "node:path";
import { tooLarge, unavailable } from "shared/errors.ts";
import { readParquetFile } from "shared/files/parquet_file.ts";
import type { ReadFileRecord } from "shared/files/file_record.ts";

/** Within the checkout, beside what the launcher keeps there: where a process may write (scripts/services.ts). */
export const SPOOL_FOLDER = join(import.meta.dirname!, "../../.microml/spool");

export interface SpoolOptions {
  /** Made where it is missing. */
  folder: string;
  /** Largest file. */
  maxBytes: number;
  /** Rows before the first one that is read. Default 0. */
  row?: number;
}

/**
 * The rows of a Parquet file that comes as a stream. It is written to a file that has no name any more: whatever ends
 * the process, nothing is left behind.
 *
 * @throws {AppError} `too_large`; `unavailable` when the disk is full; what {@link readParquetFile} throws
 */
export async function* readSpooledParquet(
  bytes: AsyncIterable<Uint8Array>,
  { folder, maxBytes, row = 0 }: SpoolOptions,
): AsyncGenerator<ReadFileRecord> {
  using file = await openNameless(folder);
  const byteLength = await spool(bytes, file, maxBytes);
  let reading: Promise<unknown> = Promise.resolve();
  yield* readParquetFile({
    byteLength,
    slice(start, end = byteLength) {
      // One after the other: a file has one place at which it is read.
      const slice = reading.then(() => readSlice(file, start, Math.min(end, byteLength)));
      reading = slice.catch(() => undefined);
      return slice;
    },
  }, { row });
}

async function readSlice(file: Deno.FsFile, start: number, end: number): Promise<ArrayBuffer> {
  const slice = new Uint8Array(Math.max(0, end - start));
  await file.seek(start, Deno.SeekMode.Start);
  for (let filled = 0; filled < slice.length;) {
    const read = await file.read(slice.subarray(filled));
    if (read === null) throw new Deno.errors.UnexpectedEof(`the spooled file ends before byte ${end}`);
    filled += read;
  }
  return slice.buffer;
}

async function openNameless(folder: string): Promise<Deno.FsFile> {
  await Deno.mkdir(folder, { recursive: true });
  const path = join(folder, `${crypto.randomUUID()}.parquet`);
  const file = await Deno.open(path, { read: true, write: true, createNew: true, mode: 0o600 });
  try {
    await Deno.remove(path);
  } catch (error) {
    file.close();
    throw error;
  }
  return file;
}

async function spool(
  bytes: AsyncIterable<Uint8Array>,
  file: Deno.FsFile,
  maxBytes: number,
): Promise<number> {
  let size = 0;
  for await (const part of bytes) {
    size += part.length;
    if (size > maxBytes) throw tooLarge(`Cannot take the file: it has more than ${maxBytes} bytes`);
    await writeAll(file, part);
  }
  return size;
}

async function writeAll(file: Deno.FsFile, part: Uint8Array): Promise<void> {
  try {
    for (let written = 0; written < part.length;) written += await file.write(part.subarray(written));
  } catch (error) {
    if (
      !(error instanceof Error && "code" in error && (error.code === "ENOSPC" || error.code === "EDQUOT"))
    ) throw error;
    throw unavailable("Cannot take the file: the disk is full", { cause: error, retryAfter: 60 });
  }
}
