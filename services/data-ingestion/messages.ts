/** Messages of the stream EVENTS -> the use case. @module */
import type { Incoming, Outcome } from "shared/bus/consumer.ts";
import type { Delivery } from "./ingest.ts";
import type { Stored } from "./store_judgement.ts";

export interface MessagesDeps {
  ingest(messages: readonly Delivery[]): Promise<Stored>;
}

/** The source that a message is of. */
export const sourceOf = ({ name }: Pick<Incoming, "name">): string => name.slice(0, MAX_SOURCE_LENGTH);

/** A subject may end in anything; what is longer is no name, and an index of the database could not hold it. */
const MAX_SOURCE_LENGTH = 255;

export function createEventsHandler({ ingest }: MessagesDeps) {
  return async (messages: readonly Incoming[]): Promise<Outcome> => ({
    publish: (await ingest(messages.map(toDelivery))).publish,
  });
}

function toDelivery({ name, data, headers, receivedAt, sequence, redelivered }: Incoming): Delivery {
  return {
    source: sourceOf({ name }),
    data,
    headers,
    arrivedAt: receivedAt,
    origin: { sequence },
    redelivered,
  };
}
