/**
 * Reading batches so that one bad event does not take its neighbours along.
 *
 * @module
 */
import type { z } from "zod";
import type { PlatformEvent } from "../contracts/envelope.ts";
import type { Reason } from "../errors.ts";
import { reasonsOf } from "../validation.ts";
import { splitBatch } from "./batch.ts";
import type { Aside } from "./dead_letter.ts";
import type { Incoming } from "./message.ts";

export interface ReadEvents<Data> {
  events: PlatformEvent<Data>[];
  /** What is no event, or has data that are not of the schema, each to be set aside by itself. */
  aside: Aside[];
}

/**
 * The events of one message; what is none is set aside.
 *
 * @throws {BadMessage} when the message is no JSON array at all
 */
export function readBatch(message: Incoming): ReadEvents<PlatformEvent["data"]> {
  const { events, bad } = splitBatch(message);
  return {
    events: events.map(({ event }) => event),
    aside: bad.map(({ value, position, reasons }) => asideOf(message, { value, position, reasons })),
  };
}

/**
 * The events of messages, with their data as the schema gives them.
 *
 * @throws {BadMessage} when a message is no JSON array at all
 */
export function readEvents<Schema extends z.ZodType>(
  messages: readonly Incoming[],
  schema: Schema,
): ReadEvents<z.output<Schema>> {
  const read: ReadEvents<z.output<Schema>> = { events: [], aside: [] };
  for (const message of messages) {
    const { events, bad } = splitBatch(message);
    for (const { event, position } of events) {
      const data = schema.safeParse(event.data);
      if (data.success) read.events.push({ ...event, data: data.data });
      else bad.push({ value: event, position, reasons: inData(reasonsOf(data.error)) });
    }
    for (const { value, position, reasons } of bad) {
      read.aside.push(asideOf(message, { value, position, reasons }));
    }
  }
  return read;
}

const inData = (reasons: readonly Reason[]) =>
  reasons.map(({ path, message }) => ({ path: `/data${path}`, message }));

const encoder = new TextEncoder();

/** A batch of its own, so that it can be published again as it is. */
function asideOf(
  { name, subject, stream, sequence, headers }: Incoming,
  { value, position, reasons }: { value: unknown; position: number; reasons: readonly Reason[] },
): Aside {
  return {
    name,
    subject,
    data: encoder.encode(JSON.stringify([value])),
    headers,
    reasons,
    origin: `${stream}/${sequence}/${position}`,
  };
}
