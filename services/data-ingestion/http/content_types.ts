import type { FileOptions } from "shared/contracts/data_ingestion.ts";
import { CLOUDEVENT_TYPE, CLOUDEVENTS_BATCH_TYPE } from "shared/contracts/envelope.ts";
import { AppError, invalid } from "shared/errors.ts";

export const CSV_TYPE = "text/csv";
export const NDJSON_TYPE = "application/x-ndjson";
export const PARQUET_TYPE = "application/vnd.apache.parquet";
export const LINES_TYPE = "text/plain";

const JSON_TYPES: readonly string[] = ["application/json", CLOUDEVENT_TYPE, CLOUDEVENTS_BATCH_TYPE];

const FILE_TYPES: Readonly<Record<string, FileOptions["format"]>> = {
  [NDJSON_TYPE]: "ndjson",
  [CSV_TYPE]: "csv",
  [PARQUET_TYPE]: "parquet",
  [LINES_TYPE]: "lines",
};

/** What a body holds: JSON, or a file. `text/csv; delimiter=";"; empty=text` says how CSV is to be read. */
export type BodyKind = { kind: "json" } | { kind: "file"; options: FileOptions };

/** @throws {AppError} `unsupported` when bodies of this content type are not taken; `invalid` for a wrong parameter */
export function bodyKind(contentType: string | null): BodyKind {
  const { type, parameters } = parse(contentType ?? "");
  if (JSON_TYPES.includes(type)) return { kind: "json" };
  const format = FILE_TYPES[type];
  if (format !== undefined) return { kind: "file", options: fileOptions(format, parameters) };
  throw new AppError(
    "unsupported",
    `Cannot take events: the content type is ${contentType ?? "missing"}, and must be one of ` +
      [...JSON_TYPES, ...Object.keys(FILE_TYPES)].join(", "),
  );
}

function fileOptions(format: FileOptions["format"], parameters: ReadonlyMap<string, string>): FileOptions {
  const { delimiter = ",", empty = "omit" } = Object.fromEntries(parameters);
  if (delimiter.length !== 1) {
    throw invalid(`Cannot take events: the delimiter is "${delimiter}", and must be one character`);
  }
  if (empty !== "omit" && empty !== "text") {
    throw invalid(`Cannot take events: empty is "${empty}", and must be "omit" or "text"`);
  }
  return { format, delimiter, empty };
}

const PARAMETER = /;\s*([\w-]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s;"]+))/g;

function parse(contentType: string): { type: string; parameters: Map<string, string> } {
  const end = contentType.indexOf(";");
  const type = (end < 0 ? contentType : contentType.slice(0, end)).trim().toLowerCase();
  const parameters = [...contentType.matchAll(PARAMETER)].map(([, name, quoted, plain]): [string, string] => [
    name!.toLowerCase(),
    quoted === undefined ? plain! : unescaped(quoted),
  ]);
  return { type, parameters: new Map(parameters) };
}

function unescaped(quoted: string): string {
  const text = quoted.replaceAll(/\\(.)/g, "$1");
  // A tab may not stand in a header.
  return quoted === "\\t" ? "\t" : text;
}
