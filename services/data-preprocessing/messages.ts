/** Messages of the stream INGESTED -> the use case. @module */
import { HEADER } from "shared/contracts/envelope.ts";
import { decodeBatch } from "shared/bus/batch.ts";
import type { Incoming, Outcome } from "shared/bus/consumer.ts";
import type { Outgoing } from "shared/bus/message.ts";
import type { Batch } from "./preprocess.ts";

export interface MessagesDeps {
  preprocess(batches: readonly Batch[]): Promise<Outgoing[]>;
}

export function createIngestedHandler({ preprocess }: MessagesDeps) {
  return async (messages: readonly Incoming[]): Promise<Outcome> => ({
    publish: await preprocess(messages.map(toBatch)),
  });
}

function toBatch(message: Incoming): Batch {
  return {
    sequence: message.sequence,
    receivedAt: message.receivedAt,
    source: message.name,
    events: decodeBatch(message),
    project: message.headers[HEADER.project],
    clock: message.headers[HEADER.clock],
  };
}
