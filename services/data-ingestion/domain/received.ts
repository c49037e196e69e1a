import type { Instant } from "shared/contracts/time.ts";
import type { Reason } from "shared/errors.ts";

/**
 * Most records of a message: each costs a row or a reason, however small it is. A message with more is one record that
 * may not come in.
 */
export const MAX_MESSAGE_RECORDS = 20_000;

/** What is wrong with so many records in a message. */
export function tooManyRecords(records: number): string {
  return `holds ${records} records, and a message may hold ${MAX_MESSAGE_RECORDS}: send them in several`;
}

/** Where user data came from: a message of the stream EVENTS, or a request to store it at once. */
export type Origin = { sequence: number } | { request: string };

/** A message or a request with user data, before anything is known about it. */
export interface Received {
  /** The source's name as the sender gave it: the last token of the subject. */
  source: string;
  data: Uint8Array;
  headers: Readonly<Record<string, string>>;
  /** When the stream took the message, or the service the request. */
  arrivedAt: Instant;
  origin: Origin;
}

export function sequenceOf({ origin }: { origin: Origin }): number | null {
  return "sequence" in origin ? origin.sequence : null;
}

export function requestOf({ origin }: { origin: Origin }): string | null {
  return "request" in origin ? origin.request : null;
}

/** A record within a message. */
export interface Place {
  source: string;
  arrivedAt: Instant;
  origin: Origin;
  /** Its place in the message, from 0. */
  position: number;
  /** Of a record that came in a file. */
  file?: FilePlace;
}

/** A place in a file. */
export interface FilePlace {
  /** The file's SHA-256, else its upload or receipt. */
  name: string;
  /** From 1; in Parquet the row. */
  line: number;
}

/** The place alone. */
export function placeOf({ source, arrivedAt, origin, position, file }: Place): Place {
  return { source, arrivedAt, origin, position, ...(file === undefined ? {} : { file }) };
}

/** Where a record came from, as it is shown and as ids are made of it: `EVENTS/17/0`. */
export function originText({ origin, position }: Pick<Place, "origin" | "position">): string {
  return "sequence" in origin
    ? `EVENTS/${origin.sequence}/${position}`
    : `STORE/${origin.request}/${position}`;
}

/** What an envelope said about its record. */
export interface Envelope {
  id?: string;
  /** As it was written. */
  time?: string;
  actor?: string;
  traceparent?: string;
}

/** What is kept of a record that may not come in. `sealed`: encrypted, as its source has secrets. */
export type Payload = { json: unknown } | { text: string } | { sealed: string };

/** What was received where a record was expected, and why it is none. */
export interface UnreadableRecord extends Place {
  /** As it came: JSON with its envelope, or a text. */
  payload: Payload;
  /** The payload alone is not quite what came (cut, rounded, not in UTF-8): it can be shown, not taken in again. */
  altered: boolean;
  reasons: readonly Reason[];
}

/** A record that could be read. Whether it may come in is not known yet. */
export interface ReadRecord extends UnreadableRecord {
  data: Record<string, unknown>;
  envelope: Envelope;
  /** Mistakes in its envelope and its JSON. */
  reasons: readonly Reason[];
}

export type FoundRecord = ReadRecord | UnreadableRecord;

export function isReadable(record: FoundRecord): record is ReadRecord {
  return "data" in record;
}
