/** What stands around records: the headers of messages, and CloudEvents 1.0. @module */
import { HEADER } from "shared/contracts/envelope.ts";
import type { Reason } from "shared/errors.ts";
import { shown } from "shared/reason_text.ts";
import type { Envelope } from "./received.ts";

/** What a record's own form says: its data, what its envelope told, and what is wrong with it. */
export interface Unwrapped {
  data: unknown;
  envelope: Envelope;
  reasons: Reason[];
}

/** Headers by their names in lower case: HTTP's writers and NATS' agree on nothing else. */
export type LowerCaseHeaders = Readonly<Record<string, string>>;

export function lowerCaseNames(headers: Readonly<Record<string, string>>): LowerCaseHeaders {
  return Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]));
}

/** The media type alone. */
export function contentTypeOf(headers: LowerCaseHeaders): string | undefined {
  return headers["content-type"]?.split(";")[0]?.trim().toLowerCase();
}

/** What a message says of all its records. */
export function messageEnvelope(headers: LowerCaseHeaders): Envelope {
  const { traceparent } = headers;
  const actor = headers[HEADER.actor.toLowerCase()];
  return { ...(traceparent ? { traceparent } : {}), ...(actor ? { actor } : {}) };
}

export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Whether it says of itself that it is a structured CloudEvent. */
export function looksLikeCloudEvent(value: unknown): boolean {
  return isRecord(value) && typeof value["specversion"] === "string";
}

/** The record itself, with the attributes of a binary CloudEvent where the message has such headers. */
export function fromPlain(value: unknown, headers: LowerCaseHeaders): Unwrapped {
  const reasons: Reason[] = [];
  if (!isRecord(value)) reasons.push({ path: "", message: `must be a JSON object, not ${kindOf(value)}` });
  if (headers["ce-specversion"] === undefined) return { data: value, envelope: {}, reasons };
  const attributes = Object.fromEntries(
    Object.entries(headers).filter(([name]) => name.startsWith("ce-"))
      .map(([name, text]) => [name.slice("ce-".length), percentDecoded(text)]),
  );
  const envelope = readAttributes(attributes, { into: reasons, prefix: "/ce-" });
  return { data: value, envelope, reasons };
}

/** CloudEvents' protocol bindings write what is not plain ASCII as percent escapes. */
function percentDecoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    // Not escaped after all: a lone percent sign.
    return text;
  }
}

/** The record in a structured CloudEvent. */
export function fromStructured(value: unknown): Unwrapped {
  const reasons: Reason[] = [];
  if (!isRecord(value)) {
    return {
      data: undefined,
      envelope: {},
      reasons: [{ path: "", message: `must be a CloudEvent, not ${kindOf(value)}` }],
    };
  }
  const envelope = readAttributes(value, { into: reasons, prefix: "/" });
  if ("data_base64" in value) {
    reasons.push({ path: "/data_base64", message: "is not taken: send the record as JSON in data" });
    return { data: undefined, envelope, reasons };
  }
  const { data } = value;
  if (!isRecord(data)) reasons.push({ path: "/data", message: `must be a JSON object, not ${kindOf(data)}` });
  return { data, envelope, reasons };
}

/** The attributes of a CloudEvent that are looked at. */
export const ATTRIBUTES = ["specversion", "id", "source", "type", "time", "actor", "traceparent"] as const;

/** The attributes that CloudEvents 1.0 requires, and those that are used here. */
function readAttributes(
  attributes: Readonly<Record<string, unknown>>,
  { into, prefix }: { into: Reason[]; prefix: string },
): Envelope {
  if (attributes["specversion"] !== "1.0") {
    const version = attributes["specversion"];
    const found = typeof version === "string" && /^[\d.]{1,9}$/.test(version)
      ? shown(version)
      : kindOf(version);
    into.push({ path: `${prefix}specversion`, message: `must be "1.0", not ${found}` });
  }
  const text = (name: string, required: boolean): string | undefined => {
    const value = attributes[name] ?? undefined;
    if (typeof value === "string" && value !== "") return value;
    if (required || value !== undefined) {
      into.push({
        path: `${prefix}${name}`,
        message: `must be a text that is not empty, not ${kindOf(value)}`,
      });
    }
    return undefined;
  };
  const id = text("id", true);
  text("source", true);
  text("type", true);
  const time = text("time", false);
  const actor = text("actor", false);
  const traceparent = text("traceparent", false);
  return {
    ...(id ? { id } : {}),
    ...(time ? { time } : {}),
    ...(actor ? { actor } : {}),
    ...(traceparent ? { traceparent } : {}),
  };
}

/** What sort of value it is, without showing it. */
export function kindOf(value: unknown): string {
  if (value === undefined) return "nothing";
  if (value === null) return "null";
  if (Array.isArray(value)) return "an array";
  if (value === "") return "an empty text";
  return `a ${typeof value}`;
}
