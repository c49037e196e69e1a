/** What is kept of a record that may not come in. @module */
import { HEADER } from "shared/contracts/envelope.ts";
import type { Instant } from "shared/contracts/time.ts";
import type { Reason } from "shared/errors.ts";
import type { Privacy } from "shared/privacy.ts";
import { ATTRIBUTES, isRecord } from "./envelopes.ts";
import { type FoundRecord, isReadable, type Payload, placeOf, type UnreadableRecord } from "./received.ts";
import { PROTECTED, protectRecord, protectText, SECRETS_HEADER } from "./secrets.ts";
import type { Source } from "./source.ts";

/** A record that may not come in, with all that is needed to judge it again. */
export interface RefusedRecord extends UnreadableRecord {
  /** Those headers of its message that say how to read it. */
  headers: Readonly<Record<string, string>>;
  /** What names it if it has no id of its own. */
  fallbackId: string;
  /** The newest event seen in its project when it arrived, where that lives by its events. */
  clock: Instant | undefined;
}

/** More reasons, or longer ones, would help nobody, and a page of rejected records has to fit into a message. */
const MAX_REASONS = 100;
const MAX_PATH_LENGTH = 300;
const MAX_MESSAGE_LENGTH = 1_000;

/** @param about.privacy where its source has secrets */
export function refuse(
  record: FoundRecord,
  reasons: readonly Reason[],
  about: Pick<RefusedRecord, "headers" | "fallbackId" | "clock"> & {
    source: Source | undefined;
    privacy: Privacy | undefined;
  },
): RefusedRecord {
  const { source, privacy, fallbackId, clock } = about;
  const headers = headersToKeep(about.headers);
  const refused = { ...placeOf(record), altered: record.altered, fallbackId, clock };
  if (source === undefined || privacy === undefined) {
    return { ...refused, payload: record.payload, headers, reasons: bounded(reasons) };
  }
  const told = reasons.map(({ path, message }) => ({ path: source.withoutNames(path), message }));
  return {
    ...refused,
    payload: protectPayload(record, source, privacy),
    headers: isReadable(record) ? { ...headers, [SECRETS_HEADER]: PROTECTED } : headers,
    reasons: bounded(told),
  };
}

function headersToKeep(headers: Readonly<Record<string, string>>): Record<string, string> {
  const kept = [HEADER.contentType, HEADER.actor, HEADER.traceparent, SECRETS_HEADER]
    .map((name) => name.toLowerCase());
  return Object.fromEntries(
    Object.entries(headers).filter(([name]) =>
      kept.includes(name.toLowerCase()) || name.toLowerCase().startsWith("ce-")
    ),
  );
}

/** What could not be read is sealed: nobody knows where secrets stand in it. */
export function protectPayload(record: FoundRecord, source: Source, privacy: Privacy): Payload {
  const { payload } = record;
  if ("sealed" in payload) return payload;
  if (!isReadable(record)) {
    return { sealed: protectText("text" in payload ? payload.text : JSON.stringify(payload.json), privacy) };
  }
  const data = protectRecord(source, record.data, privacy);
  const { json } = "json" in payload ? payload : { json: record.data };
  if (json === record.data || !isRecord(json)) return { json: data };
  // What its other attributes hold nobody knows, and they count for nothing.
  const attributes = Object.fromEntries(
    ATTRIBUTES.flatMap((name) => Object.hasOwn(json, name) ? [[name, json[name]]] : []),
  );
  return { json: { ...attributes, data } };
}

/** Without what a text of the database can't hold. */
function bounded(reasons: readonly Reason[]): Reason[] {
  const told = reasons.slice(0, MAX_REASONS).map(({ path, message }) => ({
    path: cut(path, MAX_PATH_LENGTH),
    message: cut(message, MAX_MESSAGE_LENGTH),
  }));
  if (reasons.length > MAX_REASONS) {
    told.push({ path: "", message: `is wrong in ${reasons.length - MAX_REASONS} more places` });
  }
  return told;
}

function cut(text: string, length: number): string {
  const short = text.length <= length ? text : `${text.slice(0, length - 3)}...`;
  return short.toWellFormed().replaceAll("\0", "\uFFFD");
}
