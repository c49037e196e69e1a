import { messageEnvelope } from "./envelopes.ts";
import { textMistakes } from "shared/storable_text.ts";
import { parseJson, readText } from "./json_text.ts";
import { type Reading, readValue, unparsed } from "./read_value.ts";
import {
  type FoundRecord,
  MAX_MESSAGE_RECORDS,
  type Place,
  tooManyRecords,
  type UnreadableRecord,
} from "./received.ts";

/**
 * The records of a text, one a line; empty lines are none.
 *
 * @returns at least one
 */
export function readLines(text: string, place: (position: number) => Place, reading: Reading): FoundRecord[] {
  const lines = text.split(/\r?\n/).filter((line) => line !== "");
  if (lines.length === 0) return [noRecord(text, place(0), "must hold at least one line")];
  if (lines.length > MAX_MESSAGE_RECORDS) return [noRecord(text, place(0), tooManyRecords(lines.length))];
  return lines.map((line, position) => readLine(line, place(position), reading));
}

/** The same for bytes that are not all of UTF-8: only the lines with such bytes can't be read. */
export function readLineBytes(
  data: Uint8Array,
  place: (position: number) => Place,
  reading: Reading,
): FoundRecord[] {
  const records: FoundRecord[] = [];
  for (let start = 0; start < data.length;) {
    const end = data.indexOf(LINE_FEED, start);
    const line = readText(data.subarray(start, end < 0 ? data.length : end));
    start = end < 0 ? data.length : end + 1;
    const text = line.text.replace(/\r$/, "");
    if (text === "") continue;
    const there = place(records.length);
    records.push("reason" in line ? unparsed(there, line, reading) : readLine(text, there, reading));
    if (records.length > MAX_MESSAGE_RECORDS) {
      return readLines(readText(data).text, place, reading).map((one) => ({ ...one, altered: true }));
    }
  }
  return records;
}

const LINE_FEED = 0x0a;

/** The record of a line, read by the format of its source. */
export function readLine(line: string, place: Place, reading: Reading): FoundRecord {
  const lines = reading.source?.lines;
  if (lines === undefined) return noRecord(line, place, "is a line of text, and its source is not of logs");
  if (lines.format === "json") {
    const parsed = parseJson(line);
    return "text" in parsed
      ? unparsed(place, parsed, reading)
      : readValue(parsed.value, place, { headers: reading.headers, parsed });
  }
  const result = lines.read(line, { arrivedAt: place.arrivedAt });
  // It says where the line does not fit, and quotes nothing of it: the source may have secrets.
  if ("reason" in result) return noRecord(line, place, result.reason);
  return {
    ...place,
    data: result.data,
    payload: { text: line },
    altered: false,
    envelope: messageEnvelope(reading.headers),
    // An escape may have stood for what no text can hold.
    reasons: line.includes("\\") ? textMistakes(result.data) : [],
  };
}

function noRecord(line: string, place: Place, message: string): UnreadableRecord {
  const text = line.replaceAll("\0", "\uFFFD");
  return { ...place, payload: { text }, altered: text !== line, reasons: [{ path: "", message }] };
}
