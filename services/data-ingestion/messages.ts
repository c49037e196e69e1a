/** Messages of the stream EVENTS -> the use case. @module */
import type { Incoming, Outcome } from "shared/bus/consumer.ts";
import type { Delivery, Ingested } from "./ingest.ts";

export interface MessagesDeps {
  ingest(messages: readonly Delivery[]): Promise<Ingested>;
}

/**
 * So much goes into one transaction: single events are as many as were fetched, batches of thousands a few, or
 * their parsed records would fill the memory.
 */
const MAX_TRANSACTION_BYTES = 4 * 1024 * 1024;

export function createEventsHandler({ ingest }: MessagesDeps) {
  return async (messages: readonly Incoming[]): Promise<Outcome> => {
    const publish = [];
    for (const part of inParts(messages)) publish.push(...(await ingest(part.map(toDelivery))).publish);
    return { publish };
  };
}

function* inParts(messages: readonly Incoming[]): Generator<Incoming[]> {
  let part: Incoming[] = [];
  let bytes = 0;
  for (const message of messages) {
    if (part.length > 0 && bytes + message.data.length > MAX_TRANSACTION_BYTES) {
      yield part;
      part = [];
      bytes = 0;
    }
    part.push(message);
    bytes += message.data.length;
  }
  if (part.length > 0) yield part;
}

function toDelivery({ name, data, headers, receivedAt, sequence, redelivered }: Incoming): Delivery {
  return { source: name, data, headers, arrivedAt: receivedAt, origin: { sequence }, redelivered };
}
