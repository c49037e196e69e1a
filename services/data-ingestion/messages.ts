/** Messages of the stream EVENTS -> the use case. @module */
import type { Incoming, Outcome } from "shared/bus/consumer.ts";
import type { Delivery, JudgedMessages } from "./ingest.ts";
import type { Stored } from "./store_judgement.ts";

export interface MessagesDeps {
  judge(messages: readonly Delivery[], ahead: JudgedMessages | undefined): Promise<JudgedMessages>;
  store(judged: JudgedMessages): Promise<Stored>;
}

/** The source that a message is of. */
export const sourceOf = ({ name }: Pick<Incoming, "name">): string => name.slice(0, MAX_SOURCE_LENGTH);

/** A subject may end in anything; what is longer is no name, and an index of the database could not hold it. */
const MAX_SOURCE_LENGTH = 255;

/** For a consumer, which judges messages while those ahead of them are being stored. */
export function createEventsHandler({ judge, store }: MessagesDeps) {
  return {
    prepare: (messages: readonly Incoming[], ahead: JudgedMessages | undefined) =>
      judge(messages.map(toDelivery), ahead),
    handle: async (_: readonly Incoming[], judged: JudgedMessages): Promise<Outcome> => ({
      publish: (await store(judged)).publish,
    }),
  };
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
