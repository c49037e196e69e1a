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

/** "[", "," and "]" as bytes. */
const OPEN = 0x5b;
const COMMA = 0x2c;
const CLOSE = 0x5d;

/** Where a batch goes, and what it carries besides its events. */
export interface BatchTarget {
  subject: string;
  headers?: Readonly<Record<string, string>>;
}

/**
 * Packs events, in their order, into messages of at most {@link MAX_BATCH_EVENTS} events and
 * {@link MAX_BATCH_BYTES} bytes. A single event that is larger travels alone.
 *
 * The message id follows from the keys of the events, so that the same events packed again are known again.
 */
export function encodeBatches<Data>(events: readonly PlatformEvent<Data>[], to: BatchTarget): Outgoing[] {
  return packBatches(
    events.map((event) => {
      const { source, id, definition } = event;
      return { source, id, definition, text: JSON.stringify(event) };
    }),
    to,
  );
}

/** An event that is JSON already. */
export interface EventText extends EventKey {
  text: string;
}

/** As {@link encodeBatches}, for those who have the events as JSON and need not write them a second time. */
export function packBatches(events: readonly EventText[], to: BatchTarget): Outgoing[] {
  const batches: Outgoing[] = [];
  // A character of a text takes at most three bytes.
  const most = events.reduce((sum, { text }) => sum + 3 * text.length + 1, 1);
  const room = new Uint8Array(Math.min(most, MAX_BATCH_BYTES));
  for (let first = 0; first < events.length;) {
    const { count, size } = fill(room, events, first);
    const data = count === 0 ? encoder.encode(`[${events[first]!.text}]`) : room.slice(0, size);
    const end = first + Math.max(1, count);
    batches.push({
      subject: to.subject,
      data,
      headers: { ...to.headers, [HEADER.contentType]: CLOUDEVENTS_BATCH_TYPE },
      messageId: batchId(events.slice(first, end), to.headers?.[HEADER.run]),
    });
    first = end;
  }
  return batches;
}

/** Writes as many events as fit, as a JSON array; none where the first alone is larger. */
function fill(
  room: Uint8Array,
  events: readonly EventText[],
  first: number,
): { count: number; size: number } {
  const most = Math.min(events.length - first, MAX_BATCH_EVENTS);
  let size = 0;
  let count = 0;
  for (; count < most; count++) {
    const { text } = events[first + count]!;
    const { read, written } = encoder.encodeInto(text, room.subarray(size + 1, room.length - 1));
    if (read < text.length) break;
    room[size] = count === 0 ? OPEN : COMMA;
    size += 1 + written;
  }
  room[size] = CLOSE;
  return { count, size: size + 1 };
}

/** Starts with the source, because JetStream deduplicates by stream, not by subject. */
function batchId(events: readonly EventKey[], run: string | undefined): string {
  const keys = events.map(({ source, id, definition }) => JSON.stringify([source, id, definition]));
  if (run !== undefined) keys.unshift(`${JSON.stringify(run)}\n`);
  return `${events[0]!.source}:${createHash("sha256").update(keys.join("")).digest("base64url")}`;
}

/** A message that is no batch of events. */
export class BadMessage extends AppError {
  constructor(message: Incoming, detail: string, reasons: readonly Reason[]) {
    super("invalid", `Cannot read message ${message.sequence} of ${message.stream}: ${detail}`, { reasons });
    this.name = "BadMessage";
  }
}

/** What a message holds, in its order. */
export interface SplitBatch {
  events: { event: PlatformEvent; position: number }[];
  /** What is no event, with every reason. */
  bad: { value: unknown; position: number; reasons: Reason[] }[];
}

/**
 * The events of a message, and what stands between them without being one.
 *
 * @throws {BadMessage} when it is no JSON array
 */
export function splitBatch(message: Incoming): SplitBatch {
  const values = parseJson(message);
  if (!Array.isArray(values)) {
    const reason = { path: "", message: "must be a JSON array of events" };
    throw new BadMessage(message, `it ${reason.message}`, [reason]);
  }
  const split: SplitBatch = { events: [], bad: [] };
  values.forEach((value: unknown, position) => {
    const error = looksRight(value) ? undefined : dataEventSchema.safeParse(value).error;
    if (error === undefined) split.events.push({ event: value as PlatformEvent, position });
    else split.bad.push({ value, position, reasons: reasonsOf(error) });
  });
  return split;
}

/**
 * The events of a message.
 *
 * @throws {BadMessage} when it is no JSON array of events; the reasons tell of every event that is none
 */
export function decodeBatch(message: Incoming): PlatformEvent[] {
  const { events, bad } = splitBatch(message);
  const reasons = bad.flatMap(({ position, reasons }) =>
    reasons.map(({ path, message }) => ({ path: `/${position}${path}`, message }))
  );
  const [one] = reasons;
  if (one === undefined) return events.map(({ event }) => event);
  throw new BadMessage(message, `${one.path} ${one.message}, ${reasons.length} mistakes in all`, reasons);
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
    Number.isSafeInteger(event.definition) && event.definition! >= 0 &&
    (event.retracted === undefined || event.retracted === true) && isTextOrAbsent(event.subject) &&
    isTextOrAbsent(event.actor) && isTextOrAbsent(event.traceparent) &&
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
