/** The records of a file of the user's. @module */
import { open } from "node:fs/promises";
import type { FileOptions } from "shared/contracts/data_ingestion.ts";
import { invalid } from "shared/errors.ts";
import { detectFile } from "shared/files/detect_file.ts";
import { readParquetFile } from "shared/files/parquet_file.ts";
import { type ReadFileRecord, readTextFile } from "shared/files/text_file.ts";
import { headOf, readLocalFile } from "../local_file.ts";

/** A file of which it is known how it is read. */
export interface ReadableFile {
  path: string;
  options: FileOptions;
}

const HEAD_BYTES = 64 * 1024;

/**
 * Finds how a file is to be read, by its name and its beginning.
 *
 * @throws {AppError} `invalid` when there is no such file, or it tells nothing of its format
 */
export async function detectReadableFile(path: string): Promise<ReadableFile> {
  const detected = detectFile(path, await headOf(path, HEAD_BYTES));
  if (detected !== undefined) return { path, options: detected.options };
  throw invalid(
    `Cannot tell the format of ${path}: its name must end in .csv, .tsv, .ndjson, .jsonl, .parquet, .log or .txt, ` +
      "with .gz behind it where it is compressed",
  );
}

/**
 * Reads a file record by record, in constant memory. What is wrong with one record is told as its reason.
 *
 * @param reading.onHeader told of the columns of CSV before the first record
 */
export async function* readRecords(
  { path, options }: ReadableFile,
  reading: { onHeader?: (columns: readonly string[]) => void } = {},
): AsyncGenerator<ReadFileRecord> {
  if (options.format !== "parquet") return yield* readTextFile(readLocalFile(path), options, reading);
  await using file = await open(path);
  const { size } = await file.stat();
  yield* readParquetFile({
    byteLength: size,
    async slice(start, end = size) {
      const buffer = new ArrayBuffer(end - start);
      const { bytesRead } = await file.read(new Uint8Array(buffer), { position: start });
      return buffer.slice(0, bytesRead);
    },
  });
}
