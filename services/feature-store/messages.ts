/** Clean events from the bus -> records; what can't be taken -> dead letters. @module */
import { encodeBatches } from "shared/bus/batch.ts";
import type { Aside, Incoming, Outcome } from "shared/bus/consumer.ts";
import { readBatch } from "shared/bus/read_events.ts";
import { HEADER } from "shared/contracts/envelope.ts";
import { STREAM, subject } from "shared/contracts/streams.ts";
import { instantSchema } from "shared/contracts/time.ts";
import type { EventBatch, RefusedEvent } from "./store_events.ts";

export interface CleanHandlerDeps {
  /** Stores in one transaction. @returns the events to be set aside */
  store: (batches: readonly EventBatch[]) => Promise<RefusedEvent[]>;
}

/** A message read, and what of it is no event. */
interface ReadMessage extends EventBatch {
  aside: Aside[];
}

export function createCleanHandler({ store }: CleanHandlerDeps) {
  return {
    /** Reads messages while those before them are stored. */
    prepare: (messages: readonly Incoming[]): Promise<ReadMessage[]> =>
      Promise.try(() => messages.map(readMessage)),
    async handle(_messages: readonly Incoming[], read: readonly ReadMessage[]): Promise<Outcome> {
      const refused = await store(read);
      return { aside: [...read.flatMap(({ aside }) => aside), ...refused.flatMap(toAside)] };
    },
  };
}

/** @throws {BadMessage} when it is no JSON array at all */
function readMessage(message: Incoming): ReadMessage {
  const { sequence, receivedAt } = message;
  return { sequence, receivedAt, clock: clockOf(message), ...readBatch(message) };
}

function clockOf({ headers }: Incoming): EventBatch["clock"] {
  const project = headers[HEADER.project];
  const now = instantSchema.safeParse(headers[HEADER.clock]);
  return project === undefined || !now.success ? undefined : { project, now: now.data };
}

/** As a batch of one event, so that it can be sent again as it is. */
function toAside({ event, reasons, sequence, position }: RefusedEvent): Aside[] {
  return encodeBatches([event], { subject: subject.clean(event.source) }).map(({ data, headers = {} }) => ({
    name: event.source,
    subject: subject.clean(event.source),
    data,
    headers,
    reasons,
    origin: `${STREAM.clean.name}/${sequence}/${position}`,
  }));
}
