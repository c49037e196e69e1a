/**
 * Parquet files, row by row. Memory goes with the largest column of a row group and not with the file: a range of rows
 * is read at a time, column after column.
 *
 * @module
 */
import { brotliDecompressSync, gunzipSync, zstdDecompressSync } from "node:zlib";
import {
  type Compressors,
  type FileMetaData,
  parquetMetadataAsync,
  type ParquetScan,
  parquetScan,
  parquetSchema,
  type SchemaTree,
  snappyUncompress,
} from "hyparquet";
import { AppError, invalid, messageOf } from "../errors.ts";
import { keptText, type ReadFileRecord } from "./file_record.ts";
import { type DecimalScales, jsonOf, PARSERS, takeDecimals, UnreadableValue } from "./parquet_values.ts";

/** A file that can be read at any place. */
export interface ParquetBytes {
  byteLength: number;
  slice(start: number, end?: number): Promise<ArrayBuffer>;
}

/** Rows read at a time: at most so many, fewer where they are large. */
const MAX_RANGE_ROWS = 50_000;
const RANGE_BYTES = 16 * 1024 * 1024;
/** What one column of a row group, or one page of it, may take. */
const MAX_CHUNK_BYTES = 256 * 1024 * 1024;
const MAX_FOOTER_BYTES = 64 * 1024 * 1024;
const MIN_FILE_BYTES = 12;

const bounded = (uncompress: (input: Uint8Array, bytes: number) => Uint8Array) => {
  return (input: Uint8Array, bytes: number) => {
    if (bytes > MAX_CHUNK_BYTES) {
      throw invalid(
        `Cannot read the Parquet file: a page has ${bytes} bytes, and may have ${MAX_CHUNK_BYTES}`,
      );
    }
    return uncompress(input, bytes);
  };
};

const COMPRESSORS: Compressors = {
  SNAPPY: bounded((input, bytes) => {
    const output = new Uint8Array(bytes);
    snappyUncompress(input, output);
    return output;
  }),
  GZIP: bounded((input, maxOutputLength) => gunzipSync(input, { maxOutputLength })),
  ZSTD: bounded((input, maxOutputLength) => zstdDecompressSync(input, { maxOutputLength })),
  BROTLI: bounded((input, maxOutputLength) => brotliDecompressSync(input, { maxOutputLength })),
};

/**
 * Reads a Parquet file. Instants are text in milliseconds and UTC; integers beyond 2^53 and decimals are text; bytes
 * are base64; lists, maps and structs are JSON.
 *
 * @param from.row rows before the first one that is read; default 0
 * @throws {AppError} `invalid` when it is no Parquet file, is broken, or is packed in a way that is not known; what
 * reading the file throws, as it is
 */
export async function* readParquetFile(
  file: ParquetBytes,
  from: { row?: number } = {},
): AsyncGenerator<ReadFileRecord> {
  const { row: firstRow = 0 } = from;
  const source = watched(file);
  try {
    const metadata = await readMetadata(source.file);
    const scales = takeDecimals(metadata);
    const scan = await parquetScan({
      file: source.file,
      metadata,
      parsers: PARSERS,
      compressors: COMPRESSORS,
      utf8: false,
    });
    const columns = parquetSchema(metadata).children;
    for (const [rowStart, rowEnd] of rangesOf(scan, firstRow)) {
      const values = await readColumns(scan, columns, { rowStart, rowEnd });
      for (let index = 0; index < rowEnd - rowStart; index++) {
        const row = rowStart + index + 1;
        yield {
          ...toContent(columns, values.map((column) => column[index]), scales),
          line: row,
          lastLine: row,
          end: row,
        };
      }
    }
  } catch (error) {
    if (source.failure !== undefined) throw source.failure.error;
    if (error instanceof AppError) throw error;
    throw invalid(`Cannot read the Parquet file: it is broken: ${messageOf(error)}`);
  }
}

/** The file, with a note of what went wrong in reading it: that is no fault of its content. */
function watched(file: ParquetBytes): { file: ParquetBytes; failure?: { error: unknown } } {
  const source: { file: ParquetBytes; failure?: { error: unknown } } = {
    file: {
      byteLength: file.byteLength,
      async slice(start, end) {
        try {
          return await file.slice(start, end);
        } catch (error) {
          source.failure = { error };
          throw error;
        }
      },
    },
  };
  return source;
}

async function readMetadata(file: ParquetBytes): Promise<FileMetaData> {
  const { byteLength } = file;
  const magic = "Cannot read the file: it is no Parquet file, which begins and ends with PAR1";
  if (byteLength < MIN_FILE_BYTES) throw invalid(magic);
  const head = new Uint8Array(await file.slice(0, 4));
  const tail = new DataView(await file.slice(byteLength - 8, byteLength));
  if (!isMagic(head) || !isMagic(new Uint8Array(tail.buffer, tail.byteOffset + 4, 4))) throw invalid(magic);
  const footerBytes = tail.getUint32(0, true);
  if (footerBytes > MAX_FOOTER_BYTES) {
    throw invalid(
      `Cannot read the Parquet file: its footer has ${footerBytes} bytes, and may have ${MAX_FOOTER_BYTES}`,
    );
  }
  const metadata = await parquetMetadataAsync(file, { parsers: PARSERS, geoparquet: false });
  const rows = metadata.row_groups.reduce((sum, { num_rows }) => sum + num_rows, 0n);
  if (rows !== metadata.num_rows) {
    throw new Error(`its row groups have ${rows} rows, and must have ${metadata.num_rows}`);
  }
  for (const { columns } of metadata.row_groups) {
    for (const { meta_data } of columns) {
      const bytes = Number(meta_data?.total_compressed_size ?? 0);
      if (bytes <= MAX_CHUNK_BYTES) continue;
      throw invalid(
        `Cannot read the Parquet file: the column ${
          meta_data?.path_in_schema.join(".")
        } has ${bytes} bytes in ` +
          `one row group, and may have ${MAX_CHUNK_BYTES}: write smaller row groups`,
      );
    }
  }
  return metadata;
}

function isMagic(bytes: Uint8Array): boolean {
  return String.fromCharCode(...bytes) === "PAR1";
}

/** Parts of the row groups, from a row on. */
function* rangesOf(scan: ParquetScan, firstRow: number): Generator<[rowStart: number, rowEnd: number]> {
  const groups = scan.metadata.row_groups.filter(({ num_rows }) => num_rows > 0n);
  for (const [index, { rowStart, rowEnd }] of scan.ranges.entries()) {
    const rowBytes = Number(groups[index]?.total_byte_size ?? 0) / (rowEnd - rowStart);
    const step = Math.max(1, Math.min(MAX_RANGE_ROWS, Math.floor(RANGE_BYTES / Math.max(1, rowBytes))));
    for (let start = Math.max(rowStart, firstRow); start < rowEnd; start += step) {
      yield [start, Math.min(start + step, rowEnd)];
    }
  }
}

async function readColumns(
  scan: ParquetScan,
  columns: readonly SchemaTree[],
  range: { rowStart: number; rowEnd: number },
): Promise<ArrayLike<unknown>[]> {
  const rows = range.rowEnd - range.rowStart;
  const read: ArrayLike<unknown>[] = [];
  // One after the other: only one column's bytes are in memory.
  for (const { element: { name } } of columns) {
    const values = await scan.readColumn({ column: name, ...range });
    if (values.length !== rows) {
      throw new Error(
        `the column ${name} has ${values.length} of ${rows} values from row ${range.rowStart + 1} on`,
      );
    }
    read.push(values);
  }
  return read;
}

function toContent(columns: readonly SchemaTree[], values: readonly unknown[], scales: DecimalScales) {
  const mistakes: string[] = [];
  const data = Object.fromEntries(columns.map((column, index) => {
    const { name } = column.element;
    try {
      return [name, jsonOf(values[index], column, scales)];
    } catch (error) {
      if (!(error instanceof UnreadableValue)) throw error;
      mistakes.push(`${name} ${error.reason}`);
      return [name, null];
    }
  }));
  return mistakes.length === 0
    ? { data }
    : { text: keptText(JSON.stringify(data)), reason: mistakes.join(", and ") };
}
