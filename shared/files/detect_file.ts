import type { FileFormat, FileOptions } from "../contracts/data_ingestion.ts";
import { splitFields } from "./csv.ts";

/** What a file's name and beginning say of it. */
export interface DetectedFile {
  /** Its name ends in `.gz`. */
  gzip: boolean;
  options: FileOptions;
}

const DELIMITERS = [",", ";", "\t", "|"];
const LOOKED_AT_LINES = 50;

/**
 * Finds how a file is to be read.
 *
 * @param head its first 64 KiB, uncompressed where it is gzip
 * @returns `undefined` when neither its name nor its content tells
 */
export function detectFile(name: string, head: Uint8Array): DetectedFile | undefined {
  const gzip = /\.gz$/i.test(name);
  const extension = /\.([^./\\]+)$/.exec(gzip ? name.slice(0, -".gz".length) : name)?.[1]?.toLowerCase();
  const options = detectOptions(extension, head);
  return options && { gzip, options };
}

function detectOptions(extension: string | undefined, head: Uint8Array): FileOptions | undefined {
  if (String.fromCharCode(...head.subarray(0, 4)) === "PAR1") return optionsOf("parquet");
  const lines = wholeLines(new TextDecoder().decode(head));
  switch (extension) {
    case "parquet":
      return optionsOf("parquet");
    case "csv":
      return optionsOf("csv", delimiterOf(lines) ?? delimiterOf(lines.slice(0, 1)) ?? ",");
    case "tsv":
    case "tab":
      return optionsOf("csv", "\t");
    case "ndjson":
    case "jsonl":
      return optionsOf("ndjson");
  }
  if (lines.length > 0 && lines.every(isJsonObject)) return optionsOf("ndjson");
  if (extension === "log") return optionsOf("lines");
  const delimiter = delimiterOf(lines);
  if (delimiter !== undefined) return optionsOf("csv", delimiter);
  return extension === "txt" ? optionsOf("lines") : undefined;
}

const optionsOf = (format: FileFormat, delimiter = ","): FileOptions => ({
  format,
  delimiter,
  empty: "omit",
});

/** Without the last one, of which only the beginning may be here. */
function wholeLines(text: string): string[] {
  const lines = text.split("\n").map((line) => line.replace(/\r$/, ""));
  if (lines.length > 1) lines.pop();
  return lines.filter((line) => line !== "").slice(0, LOOKED_AT_LINES);
}

function isJsonObject(line: string): boolean {
  if (!line.startsWith("{")) return false;
  try {
    JSON.parse(line);
    return true;
  } catch {
    return false;
  }
}

/** The one that divides the header into the most names, and most of the lines into as many fields. */
function delimiterOf([header, ...lines]: readonly string[]): string | undefined {
  if (header === undefined) return undefined;
  const candidates = DELIMITERS.flatMap((delimiter) => {
    const names = fieldsOf(header, delimiter);
    if (names.length < 2 || names.includes("") || new Set(names).size < names.length) return [];
    const fitting = lines.filter((line) => fieldsOf(line, delimiter).length === names.length);
    return fitting.length >= lines.length * 0.8 ? [{ delimiter, names: names.length }] : [];
  });
  return candidates.toSorted((a, b) => b.names - a.names)[0]?.delimiter;
}

function fieldsOf(line: string, delimiter: string): string[] {
  const split = splitFields(line, delimiter);
  return "fields" in split ? split.fields : [];
}
