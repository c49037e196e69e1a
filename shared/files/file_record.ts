import type { DataRecord } from "../contracts/envelope.ts";

/** A record of a file, or what stands where one was expected. */
export type ReadFileRecord = FileContent & FilePosition;

export type FileContent =
  /** `json`: the data as the file has it, where it is JSON: parsing rounds large integers. */
  | { data: DataRecord; json?: string }
  /**
   * A log line; with a reason, what could not be read, cut where it is long. `quietReason`: the same without any of the
   * text, where the reason shows some.
   */
  | { text: string; reason?: string; quietReason?: string };

/** Where a record stands. */
export interface FilePosition {
  /** The line it begins in, from 1, the header included; in Parquet the row, from 1. */
  line: number;
  /** The line it ends in: another one where a quoted field of CSV holds line breaks. */
  lastLine: number;
  /** The byte behind it, its line break included; in Parquet the number of rows up to it. */
  end: number;
}

/** Longest line of a text file, in bytes. With its circumstances it fits into one NATS message. */
export const MAX_LINE_BYTES = 900_000;

/** What is kept of a text that is too long, in characters. */
const KEPT_CHARACTERS = 65_536;

/** The text as far as it is kept where it may not come in, without U+0000, which PostgreSQL has no place for. */
export function keptText(text: string, maxCharacters: number = KEPT_CHARACTERS): string {
  const storable = text.replaceAll("\0", "\uFFFD");
  return storable.length <= maxCharacters
    ? storable
    : `${storable.slice(0, maxCharacters).toWellFormed()}...`;
}
