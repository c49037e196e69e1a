/**
 * Records that come by HTTP for a source with secrets are protected before they are published: EVENTS holds none.
 *
 * @module
 */
import type { FileRecord } from "shared/contracts/data_ingestion.ts";
import type { DataRecord } from "shared/contracts/envelope.ts";
import type { Instant } from "shared/contracts/time.ts";
import { invalid, type Reason, unavailable } from "shared/errors.ts";
import type { ReadFileRecord } from "shared/files/file_record.ts";
import type { Privacy } from "shared/privacy.ts";
import { textMistakes } from "shared/storable_text.ts";
import { type ParsedJson, parseJson } from "./json_text.ts";
import { readLine } from "./read_lines.ts";
import { readRecords } from "./read_records.ts";
import { readingOf, readValue } from "./read_value.ts";
import { type FoundRecord, isReadable, type Place } from "./received.ts";
import { protectPayload } from "./refuse.ts";
import { PROTECTED, protectText, SECRETS_HEADER } from "./secrets.ts";
import type { Source } from "./source.ts";

/** What is done with records before they are published. */
export interface Protection {
  /** Headers of their messages. */
  headers: Readonly<Record<string, string>>;
  /** Absent: nothing, they go on as they came. */
  protect?: {
    json(body: { data: Uint8Array; headers: Readonly<Record<string, string>> }): unknown[];
    fileRecord(record: ReadFileRecord): FileRecord;
  };
}

export interface ProtectionOptions {
  /** Undefined: nobody has set a key. */
  privacy: Privacy | undefined;
  /** When the records came. */
  arrivedAt: Instant;
}

/**
 * The protection of records of a source.
 *
 * @param source undefined: nobody has defined it, and so nobody has declared secrets
 * @throws {AppError} `unavailable` when it has secrets, and there is no key
 */
export function protectionOf(
  source: Source | undefined,
  { privacy, arrivedAt }: ProtectionOptions,
): Protection {
  if (source === undefined || source.secrets.length === 0) return { headers: {} };
  if (privacy === undefined) {
    throw unavailable(`Cannot take events of "${source.name}": it has secrets, and SECRETS_KEY is not set`);
  }
  const options = { source, privacy, arrivedAt };
  return {
    headers: { [SECRETS_HEADER]: PROTECTED },
    protect: {
      json: (body) => protectJson(body, options),
      fileRecord: (record) => protectFileRecord(record, options),
    },
  };
}

interface ProtectOptions {
  source: Source;
  privacy: Privacy;
  arrivedAt: Instant;
}

/**
 * The records of a body of JSON, protected, with their envelopes.
 *
 * @throws {AppError} `invalid` when one cannot be read, or would not be what was written: nothing is published then
 */
function protectJson(
  body: { data: Uint8Array; headers: Readonly<Record<string, string>> },
  { source, privacy, arrivedAt }: ProtectOptions,
): unknown[] {
  const origin = { request: "" };
  const records = readRecords({ source: source.name, arrivedAt, origin, ...body }, source);
  const mistakes = records.flatMap((record): Reason[] =>
    isReadable(record) && !record.altered
      ? []
      : record.reasons.map(({ path, message }) => ({ path: `/${record.position}${path}`, message }))
  );
  if (mistakes.length > 0) {
    throw invalid("Cannot take events of a source with secrets: some cannot be read as they are", mistakes);
  }
  return records.map((record) => protectedJson(record, { source, privacy }));
}

/** A record of a file, protected; sealed where it cannot be read, for nobody knows where secrets stand in it. */
function protectFileRecord(
  record: ReadFileRecord,
  { source, privacy, arrivedAt }: ProtectOptions,
): FileRecord {
  const { line } = record;
  const seal = (text: string, reason: string, whole = false): FileRecord => ({
    line,
    sealed: protectText(text, privacy),
    reason,
    ...(whole ? { whole } : {}),
  });
  if ("text" in record && record.reason !== undefined) {
    return seal(record.text, record.quietReason ?? record.reason);
  }
  const place: Place = { source: source.name, arrivedAt, origin: { request: "" }, position: 0 };
  const found = read(record, place, source);
  if (isReadable(found) && !found.altered) return { line, data: protectedJson(found, { source, privacy }) };
  const reason = found.reasons.map(({ path, message }) => `${path} ${message}`.trim()).join("; ");
  return seal("data" in record ? record.json ?? JSON.stringify(record.data) : record.text, reason, true);
}

/** Of a record that could be read: that becomes JSON, whatever it was. */
function protectedJson(
  record: FoundRecord,
  { source, privacy }: Pick<ProtectOptions, "source" | "privacy">,
): DataRecord {
  return (protectPayload(record, source, privacy) as { json: DataRecord }).json;
}

function read(record: ReadFileRecord, place: Place, source: Source): FoundRecord {
  const reading = readingOf(source, {});
  if ("text" in record) return readLine(record.text, place, reading);
  // What was JSON has been parsed before.
  const parsed = record.json === undefined
    ? { value: record.data, mistakesIn: textMistakes }
    : parseJson(record.json) as ParsedJson;
  return readValue(parsed.value, place, { headers: {}, parsed });
}
