import { eventIdSchema } from "shared/contracts/envelope.ts";
import type { FileRecord } from "shared/contracts/data_ingestion.ts";
import { isRecord } from "./envelopes.ts";
import { cutBelow, MAX_DEPTH, type ParsedJson } from "./json_text.ts";
import { readLine } from "./read_lines.ts";
import { type Reading, readValue } from "./read_value.ts";
import { type FoundRecord, MAX_MESSAGE_RECORDS, type Place, tooManyRecords } from "./received.ts";

/** With the line behind it, it must do for an id. */
const MAX_FILE_LENGTH = Math.min(128, eventIdSchema.maxLength ?? Infinity);

/**
 * The records of a message that holds a part of a file, each with its line.
 *
 * (Looked at by hand: a schema would copy every record.)
 */
export function readFileRecords(
  parsed: ParsedJson,
  place: (position: number) => Place,
  reading: Reading,
): FoundRecord[] {
  const { value } = parsed;
  const refuse = (path: string, message: string, position = 0, json: unknown = value): FoundRecord => ({
    ...place(position),
    payload: { json: cutBelow(json, MAX_DEPTH) },
    // Read once more, alone, it would be taken for a record.
    altered: true,
    reasons: [{ path, message }],
  });
  if (!isRecord(value) || !Array.isArray(value["records"]) || value["records"].length === 0) {
    return [refuse("/records", "must be an array with at least one record of a file")];
  }
  const { file, records } = value;
  if (records.length > MAX_MESSAGE_RECORDS) return [refuse("/records", tooManyRecords(records.length))];
  if (typeof file !== "string" || file === "" || file.length > MAX_FILE_LENGTH) {
    return [refuse("/file", `must be a text of 1 to ${MAX_FILE_LENGTH} characters`)];
  }
  return records.map((record: unknown, position): FoundRecord => {
    if (!isFileRecord(record)) {
      return refuse("", "must be a record of a file, or a line of one, with its number", position, record);
    }
    const there = { ...place(position), file: { name: file, line: record.line } };
    if ("data" in record) return readValue(record.data, there, { headers: reading.headers, parsed });
    if ("text" in record && record.reason === undefined) return readLine(record.text, there, reading);
    const { reason = "" } = record;
    return {
      ...there,
      payload: "sealed" in record
        ? { sealed: record.sealed }
        : { text: record.text.replaceAll("\0", "\uFFFD") },
      // What could not be read of a file stands there only as far as it is worth showing, unless it says otherwise.
      altered: !("sealed" in record && record.whole === true),
      reasons: [{ path: "", message: reading.quiet ? withoutSnippet(reason) : reason }],
    };
  });
}

function isFileRecord(value: unknown): value is FileRecord {
  if (!isRecord(value) || !Number.isSafeInteger(value["line"]) || (value["line"] as number) < 1) return false;
  const { data, text, sealed, reason } = value;
  if (data !== undefined) return isRecord(data);
  if (reason !== undefined && typeof reason !== "string") return false;
  return typeof text === "string" || typeof sealed === "string" && reason !== undefined;
}

/** The reader of JSON shows the place that it stumbles on. */
function withoutSnippet(reason: string): string {
  return reason.replace(/^must be JSON: .*$/s, "must be JSON");
}
