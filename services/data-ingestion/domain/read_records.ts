import { CLOUDEVENT_TYPE, CLOUDEVENTS_BATCH_TYPE, HEADER } from "shared/contracts/envelope.ts";
import type { Reason } from "shared/errors.ts";
import { cutBelow, isDeeperThan, MAX_DEPTH, parseJsonText, shown } from "./json_text.ts";
import type { Envelope, FoundRecord, Place, Received } from "./received.ts";

/** What a record's own form says: its data, what its envelope told, and what is wrong with it. */
interface Unwrapped {
  data: unknown;
  envelope: Envelope;
  reasons: Reason[];
}

/**
 * Finds the records of a message. It may hold a JSON object, a CloudEvent (structured, recognised by its content
 * type or its `specversion`, or binary, with its attributes in `ce-*` headers), or an array of either. What is no
 * record is found too, with the reasons.
 *
 * @returns at least one
 */
export function readRecords(received: Received): FoundRecord[] {
  const { source, arrivedAt, origin } = received;
  const place = (position: number): Place => ({ source, arrivedAt, origin, position });
  const parsed = parseJsonText(received.data);
  if ("text" in parsed) {
    return [{ ...place(0), payload: { text: parsed.text }, reasons: [parsed.reason] }];
  }

  const headers = lowerCaseNames(received.headers);
  const contentType = headers["content-type"]?.split(";")[0]?.trim().toLowerCase();
  if (contentType === CLOUDEVENTS_BATCH_TYPE && !Array.isArray(parsed.value)) {
    const reasons = [{
      path: "",
      message: `must be an array: its content type is ${CLOUDEVENTS_BATCH_TYPE}`,
    }];
    return [{ ...place(0), payload: { json: cutBelow(parsed.value, MAX_DEPTH) }, reasons }];
  }
  if (Array.isArray(parsed.value) && parsed.value.length === 0) {
    return [{
      ...place(0),
      payload: { json: [] },
      reasons: [{ path: "", message: "must hold at least one record" }],
    }];
  }

  const isCloudEvent = contentType === CLOUDEVENT_TYPE || contentType === CLOUDEVENTS_BATCH_TYPE;
  const fromMessage = messageEnvelope(headers);
  const values: readonly unknown[] = Array.isArray(parsed.value) ? parsed.value : [parsed.value];
  return values.map((value, position): FoundRecord => {
    if (isDeeperThan(value, MAX_DEPTH)) {
      const reasons = [{ path: "", message: `is nested more than ${MAX_DEPTH} levels deep` }];
      return { ...place(position), payload: { json: cutBelow(value, MAX_DEPTH) }, reasons };
    }
    const { data, envelope, reasons } = isCloudEvent || looksLikeCloudEvent(value)
      ? fromStructured(value)
      : fromPlain(value, headers);
    reasons.push(...parsed.mistakesIn(value));
    if (!isRecord(data)) return { ...place(position), payload: { json: value }, reasons };
    return {
      ...place(position),
      data,
      asReceived: value,
      envelope: { ...fromMessage, ...envelope },
      reasons,
    };
  });
}

/** The id that the sender gave to the whole message; the last choice but one for a record's id. */
export function messageIdOf(received: Pick<Received, "headers">): string | undefined {
  return lowerCaseNames(received.headers)[HEADER.messageId.toLowerCase()];
}

function messageEnvelope(headers: Readonly<Record<string, string>>): Envelope {
  const { traceparent } = headers;
  const actor = headers[HEADER.actor.toLowerCase()];
  return { ...(traceparent ? { traceparent } : {}), ...(actor ? { actor } : {}) };
}

function lowerCaseNames(headers: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]));
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function looksLikeCloudEvent(value: unknown): boolean {
  return isRecord(value) && typeof value["specversion"] === "string";
}

/** The record itself, with the attributes of a binary CloudEvent where the message has such headers. */
function fromPlain(value: unknown, headers: Readonly<Record<string, string>>): Unwrapped {
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

function fromStructured(value: unknown): Unwrapped {
  const reasons: Reason[] = [];
  if (!isRecord(value)) {
    return {
      data: undefined,
      envelope: {},
      reasons: [{ path: "", message: `must be a CloudEvent, not ${kindOf(value)}` }],
    };
  }
  const envelope = readAttributes(value, { into: reasons, prefix: "/" });
  const { data } = value;
  if ("data_base64" in value) {
    reasons.push({ path: "/data_base64", message: "is not taken: send the record as JSON in data" });
  } else if (!isRecord(data)) {
    reasons.push({ path: "/data", message: `must be a JSON object, not ${kindOf(data)}` });
  }
  return { data, envelope, reasons };
}

/** The attributes that CloudEvents 1.0 requires, and those that are used here. */
function readAttributes(
  attributes: Readonly<Record<string, unknown>>,
  { into, prefix }: { into: Reason[]; prefix: string },
): Envelope {
  if (attributes["specversion"] !== "1.0") {
    into.push({
      path: `${prefix}specversion`,
      message: `must be "1.0", not ${shown(attributes["specversion"])}`,
    });
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

function kindOf(value: unknown): string {
  if (value === undefined) return "nothing";
  if (value === null) return "null";
  if (Array.isArray(value)) return "an array";
  if (value === "") return "an empty text";
  return `a ${typeof value}`;
}
