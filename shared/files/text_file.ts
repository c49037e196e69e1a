/**
 * Text files, record by record, in constant memory: CSV, lines of JSON, lines of a log.
 *
 * @module
 */
import type { FileOptions } from "../contracts/data_ingestion.ts";
import type { DataRecord } from "../contracts/envelope.ts";
import { invalid, messageOf } from "../errors.ts";
import { LineQueue, readCsvRecords, readHeader } from "./csv.ts";
import { type FileLine, readLines } from "./file_lines.ts";
import { type FileContent, keptText, type ReadFileRecord } from "./file_record.ts";

export type { ReadFileRecord } from "./file_record.ts";

/** Which part of a file is read. */
export interface TextReading {
  /** The byte of the file that the bytes begin at: the end of a record. Default 0. */
  offset?: number;
  /** Lines before that. Default 0. */
  line?: number;
  /** CSV: the names of the columns, where the bytes begin behind them. */
  header?: readonly string[];
  /**
   * False: more of the file will follow at another time; a last record that may not be whole is left for then.
   * Default true.
   */
  complete?: boolean;
  /** CSV: told of the header once it is read, and how far that is. */
  onHeader?(header: readonly string[], position: { line: number; end: number }): void;
}

/**
 * Reads a text file. What is wrong with one line is told as that line's reason, and reading goes on with the next; a
 * line with nothing in it is no record.
 *
 * @param options `format` is any but `parquet`
 * @throws {AppError} `invalid` when the file has no usable header
 */
export async function* readTextFile(
  bytes: AsyncIterable<Uint8Array>,
  options: FileOptions,
  reading: TextReading = {},
): AsyncGenerator<ReadFileRecord> {
  const lines = readLines(bytes, reading);
  switch (options.format) {
    case "csv":
      return yield* readCsv(lines, options, reading);
    case "ndjson":
      return yield* readEach(lines, readJsonLine);
    case "lines":
      return yield* readEach(lines, ({ text }) => ({ text }));
    case "parquet":
      throw invalid("Cannot read the file as text: it is Parquet");
  }
}

async function* readCsv(
  lines: AsyncIterable<FileLine>,
  options: FileOptions,
  { header, complete = true, onHeader }: TextReading,
): AsyncGenerator<ReadFileRecord> {
  await using queue = new LineQueue(lines, { complete });
  let columns = header;
  if (columns === undefined) {
    const found = await readHeader(queue, options);
    if (found === undefined) {
      if (complete) {
        throw invalid("Cannot read the file: it is empty, and must begin with the names of its columns");
      }
      return;
    }
    ({ columns } = found);
    onHeader?.(columns, found);
  }
  yield* readCsvRecords(queue, columns, options);
}

async function* readEach(
  lines: AsyncIterable<FileLine>,
  read: (line: FileLine) => FileContent,
): AsyncGenerator<ReadFileRecord> {
  for await (const line of lines) {
    if (line.text === "") continue;
    const { number, end, text, reason } = line;
    const content = reason === undefined ? read(line) : { text, reason };
    yield { ...content, line: number, lastLine: number, end };
  }
}

function readJsonLine({ text }: FileLine): FileContent {
  let data: unknown;
  try {
    data = JSON.parse(text);
  } catch (error) {
    return { text: keptText(text), reason: `must be JSON: ${messageOf(error)}`, quietReason: "must be JSON" };
  }
  if (typeof data !== "object" || data === null || Array.isArray(data)) {
    return { text: keptText(text), reason: `must be a JSON object, not ${kindOf(data)}` };
  }
  return { data: data as DataRecord, json: text };
}

function kindOf(value: unknown): string {
  if (value === null) return "null";
  return Array.isArray(value) ? "an array" : `a ${typeof value}`;
}
