/**
 * Batches: many events of one source or model in one message, since a message costs more than an event does.
 *
 * @module
 */
import { createHash } from "node:crypto";
import {
  CLOUDEVENTS_BATCH_TYPE,
  dataEventSchema,
  type EventKey,
  HEADER,
  MAX_BATCH_BYTES,
  MAX_BATCH_EVENTS,
  type PlatformEvent,
} from "../contracts/envelope.ts";
import { AppError, type Reason } from "../errors.ts";
import { reasonsOf } from "../validation.ts";
import type { Incoming, Outgoing } from "./message.ts";

const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { fatal: true });

const OPEN = encoder.encode("[");
const COMMA = encoder.encode(",");
const CLOSE = encoder.encode("]");

/**
 * Packs events, in their order, into messages of at most {@link MAX_BATCH_EVENTS} events and
 * {@link MAX_BATCH_BYTES} bytes. A single event that is larger travels alone.
 *
 * The message id follows from the keys of the events, so that the same events packed again are known again.
 */
export function encodeBatches<Data>(
  events: readonly PlatformEvent<Data>[],
  to: { subject: string; headers?: Readonly<Record<string, string>> },
): Outgoing[] {
  const batches: Outgoing[] = [];
  let first = 0;
  let encoded: Uint8Array[] = [];
  let size = OPEN.length + CLOSE.length;

  const close = (end: number) => {
    if (encoded.length === 0) return;
    batches.push({
      subject: to.subject,
      data: joinArray(encoded, size),
      headers: { ...to.headers, [HEADER.contentType]: CLOUDEVENTS_BATCH_TYPE },
      messageId: batchId(events.slice(first, end)),
    });
    first = end;
    encoded = [];
    size = OPEN.length + CLOSE.length;
  };

  events.forEach((event, index) => {
    const bytes = encoder.encode(JSON.stringify(event));
    const separator = encoded.length === 0 ? 0 : COMMA.length;
    if (encoded.length === MAX_BATCH_EVENTS || size + separator + bytes.length > MAX_BATCH_BYTES) {
      close(index);
    }
    size += bytes.length + (encoded.length === 0 ? 0 : COMMA.length);
    encoded.push(bytes);
  });
  close(events.length);
  return batches;
}

function joinArray(parts: readonly Uint8Array[], size: number): Uint8Array {
  const data = new Uint8Array(size);
  data.set(OPEN);
  let offset = OPEN.length;
  parts.forEach((part, index) => {
    if (index > 0) {
      data.set(COMMA, offset);
      offset += COMMA.length;
    }
    data.set(part, offset);
    offset += part.length;
  });
  data.set(CLOSE, offset);
  return data;
}

/** Starts with the source, because JetStream deduplicates by stream, not by subject. */
function batchId(events: readonly EventKey[]): string {
  const hash = createHash("sha256");
  for (const { source, id, definition, run = null } of events) {
    hash.update(JSON.stringify([source, id, definition, run]));
  }
  return `${events[0]!.source}:${hash.digest("base64url")}`;
}

/** A message that is no batch of events. */
export class BadMessage extends AppError {
  constructor(message: Incoming, detail: string, reasons: readonly Reason[]) {
    super("invalid", `Cannot read message ${message.sequence} of ${message.stream}: ${detail}`, { reasons });
    this.name = "BadMessage";
  }
}

/**
 * The events of a message.
 *
 * @throws {BadMessage} when it is no JSON array of events; the reasons tell of every event that is none
 */
export function decodeBatch(message: Incoming): PlatformEvent[] {
  const events = parseJson(message);
  if (!Array.isArray(events)) {
    const reason = { path: "", message: "must be a JSON array of events" };
    throw new BadMessage(message, `it ${reason.message}`, [reason]);
  }
  const reasons: Reason[] = [];
  events.forEach((event: unknown, index) => {
    if (looksRight(event)) return;
    const { error } = dataEventSchema.safeParse(event);
    if (!error) return;
    reasons.push(...reasonsOf(error).map(({ path, message }) => ({ path: `/${index}${path}`, message })));
  });
  if (reasons.length === 0) return events;
  const [one] = reasons;
  throw new BadMessage(message, `${one!.path} ${one!.message}, ${reasons.length} mistakes in all`, reasons);
}

function parseJson(message: Incoming): unknown {
  try {
    return JSON.parse(decoder.decode(message.data));
  } catch {
    const reason = { path: "", message: "must be JSON in UTF-8" };
    throw new BadMessage(message, `it ${reason.message}`, [reason]);
  }
}

const NAME = /^[a-z][a-z0-9_-]{0,62}$/;
const INSTANT = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{3}Z$/;

/**
 * Whether an event is as the schema wants it, found at a twentieth of the schema's cost: batches come from our
 * own services, and the schema is asked only about what looks wrong.
 */
function looksRight(value: unknown): boolean {
  if (typeof value !== "object" || value === null) return false;
  const event = value as Partial<PlatformEvent>;
  return event.specversion === "1.0" &&
    typeof event.id === "string" && event.id.length > 0 && event.id.length <= 256 &&
    typeof event.source === "string" && NAME.test(event.source) &&
    typeof event.type === "string" && event.type.length > 0 &&
    isInstant(event.time) && isInstant(event.knownat) &&
    Number.isSafeInteger(event.definition) && event.definition! > 0 &&
    isTextOrAbsent(event.run) && isTextOrAbsent(event.actor) && isTextOrAbsent(event.traceparent) &&
    typeof event.data === "object" && event.data !== null && !Array.isArray(event.data);
}

function isInstant(value: unknown): boolean {
  return typeof value === "string" && INSTANT.test(value) && !Number.isNaN(Date.parse(value));
}

function isTextOrAbsent(value: unknown): boolean {
  return value === undefined || typeof value === "string";
}

/** What a message holds, for an error that must name it. */
export function describeMessage(message: Outgoing): string {
  if (message.headers?.[HEADER.contentType] === CLOUDEVENTS_BATCH_TYPE) {
    const events = JSON.parse(decoder.decode(message.data)) as PlatformEvent[];
    const [first] = events;
    if (first !== undefined && events.length === 1) return `the event "${first.id}" of "${first.source}"`;
  }
  return `the message "${message.messageId}"`;
}
