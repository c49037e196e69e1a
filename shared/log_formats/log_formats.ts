/**
 * How lines of logs become records: the formats that are known by name, and patterns of the user's own. Each reads a
 * line in time linear in its length, whatever the line holds.
 *
 * @module
 */
import { LOG_FORMATS, type LogFormat } from "../contracts/source.ts";
import { combined, common } from "./access_log.ts";
import { jsonLines } from "./json_lines.ts";
import type { LineFormat, LogLineReader } from "./line_format.ts";
import { logfmt } from "./logfmt.ts";
import { patternFormat } from "./pattern_format.ts";
import { rfc3164 } from "./rfc3164.ts";
import { rfc5424 } from "./rfc5424.ts";

export type { LogLineReader, ReadLine } from "./line_format.ts";

const BUILT_IN: Readonly<Record<(typeof LOG_FORMATS)[number], LineFormat>> = {
  json: jsonLines,
  combined,
  common,
  rfc3164,
  rfc5424,
  logfmt,
};

function lineFormat(format: LogFormat): LineFormat {
  return typeof format === "string" ? BUILT_IN[format] : patternFormat(format.pattern);
}

/**
 * The reader of a format's lines. A line is taken without its line break; a carriage return at its end is no part of
 * it. A line that the format does not describe is answered with the place where it stops to fit.
 *
 * @throws {AppError} `invalid` when a pattern of the user's own can't be compiled or names no group
 */
export function compileLogFormat(format: LogFormat): LogLineReader {
  const { read } = lineFormat(format);
  return (line, circumstances) => {
    if (line.includes("\0")) return { reason: "holds the character U+0000, which cannot be stored" };
    return read(line.endsWith("\r") ? line.slice(0, -1) : line, circumstances);
  };
}

/**
 * JSON Schema (draft 2020-12) of the records that a format's reader gives. The event time is the field `time`, an
 * instant, in all formats that have one: in `json` and `logfmt` fields are as the writer named them.
 *
 * @throws {AppError} `invalid` as {@link compileLogFormat}
 */
export function logRecordSchema(format: LogFormat): Record<string, unknown> {
  return structuredClone(lineFormat(format).schema);
}

/** A format is taken for that of a file when it reads at least so many of the lines shown. */
const ENOUGH = 0.8;

/** Any line of words is nearly logfmt and RFC 3164: the stricter formats are asked first. */
const STRICTEST_FIRST = ["json", "rfc5424", "combined", "common", "rfc3164", "logfmt"] as const;

/** The format by name that reads most of the lines, empty ones aside; `undefined` when none reads four of five. */
export function detectLogFormat(lines: readonly string[]): LogFormat | undefined {
  const filled = lines.filter((line) => line.trim() !== "");
  if (filled.length === 0) return undefined;
  const circumstances = { arrivedAt: new Date().toISOString() };
  let best: { format: LogFormat; share: number } | undefined;
  for (const format of STRICTEST_FIRST) {
    const read = compileLogFormat(format);
    const share = filled.filter((line) => "data" in read(line, circumstances)).length / filled.length;
    if (share >= ENOUGH && share > (best?.share ?? 0)) best = { format, share };
  }
  return best?.format;
}
