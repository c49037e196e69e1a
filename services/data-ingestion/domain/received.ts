import type { Instant } from "shared/contracts/time.ts";
import type { Reason } from "shared/errors.ts";

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

/** A record that could be read. Whether it may come in is not known yet. */
export interface ReadRecord extends Place {
  data: Record<string, unknown>;
  /** With its envelope, where it came in a structured one. */
  asReceived: unknown;
  envelope: Envelope;
  /** Mistakes in its envelope and its JSON. */
  reasons: readonly Reason[];
}

/** What was received where a record was expected, and why it is none. */
export interface UnreadableRecord extends Place {
  payload: { json: unknown } | { text: string };
  reasons: readonly Reason[];
}

export type FoundRecord = ReadRecord | UnreadableRecord;

export function isReadable(record: FoundRecord): record is ReadRecord {
  return "data" in record;
}
