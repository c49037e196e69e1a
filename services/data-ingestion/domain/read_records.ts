import { FILE_RECORDS_TYPE } from "shared/contracts/data_ingestion.ts";
import { CLOUDEVENTS_BATCH_TYPE, HEADER } from "shared/contracts/envelope.ts";
import { contentTypeOf, lowerCaseNames } from "./envelopes.ts";
import { cutBelow, MAX_DEPTH, type ParsedJson, parseJson, readText } from "./json_text.ts";
import { readFileRecords } from "./read_file_records.ts";
import { readLineBytes, readLines } from "./read_lines.ts";
import { type Reading, readingOf, readValue, unparsed } from "./read_value.ts";
import {
  type FoundRecord,
  MAX_MESSAGE_RECORDS,
  type Place,
  type Received,
  tooManyRecords,
} from "./received.ts";
import type { Source } from "./source.ts";

/**
 * Finds the records of a message. It may hold a JSON object, a CloudEvent (structured, recognised by its content
 * type or its `specversion`, or binary, with its attributes in `ce-*` headers), or an array of either; records of a
 * file; or, for a source of logs, lines of text. What is no record is found too, with the reasons.
 *
 * @returns at least one
 */
export function readRecords(received: Received, source: Source | undefined): FoundRecord[] {
  const { source: name, arrivedAt, origin } = received;
  const place = (position: number): Place => ({ source: name, arrivedAt, origin, position });
  const reading = readingOf(source, received.headers);
  const contentType = contentTypeOf(reading.headers);

  const read = readText(received.data);
  const mayBeLines = source?.lines !== undefined && !isJsonType(contentType);
  if ("reason" in read) {
    return mayBeLines ? readLineBytes(received.data, place, reading) : [unparsed(place(0), read, reading)];
  }
  const { text } = read;
  if (mayBeLines && contentType === "text/plain") return readLines(text, place, reading);
  const parsed = parseJson(text);
  // A number or a text of its own is JSON too, but no record: as a line it may be one.
  if (mayBeLines && ("text" in parsed || typeof parsed.value !== "object" || parsed.value === null)) {
    return readLines(text, place, reading);
  }
  if ("text" in parsed) return [unparsed(place(0), parsed, reading)];
  if (contentType === FILE_RECORDS_TYPE) return readFileRecords(parsed, place, reading);
  return readValues(parsed, place, reading);
}

function isJsonType(contentType: string | undefined): boolean {
  return contentType !== undefined && /[/+]json$/.test(contentType);
}

function readValues(
  parsed: ParsedJson,
  place: (position: number) => Place,
  reading: Reading,
): FoundRecord[] {
  const { value } = parsed;
  const no = (message: string, json: unknown): FoundRecord[] => [{
    ...place(0),
    payload: { json },
    altered: false,
    reasons: [{ path: "", message }],
  }];
  if (Array.isArray(value) && value.length > MAX_MESSAGE_RECORDS) {
    return no(tooManyRecords(value.length), cutBelow(value, MAX_DEPTH));
  }
  if (Array.isArray(value) && value.length > 0) {
    return value.map((item: unknown, position) => readValue(item, place(position), { ...reading, parsed }));
  }
  if (Array.isArray(value)) return no("must hold at least one record", []);
  if (contentTypeOf(reading.headers) === CLOUDEVENTS_BATCH_TYPE) {
    return no(`must be an array: its content type is ${CLOUDEVENTS_BATCH_TYPE}`, cutBelow(value, MAX_DEPTH));
  }
  return [readValue(value, place(0), { ...reading, parsed })];
}

/** The id that the sender gave to the whole message; the last choice but one for a record's id. */
export function messageIdOf(received: Pick<Received, "headers">): string | undefined {
  const headers = lowerCaseNames(received.headers);
  return headers[HEADER.firstMessageId.toLowerCase()] ?? headers[HEADER.messageId.toLowerCase()];
}
