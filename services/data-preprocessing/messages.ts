/** Messages of the streams INGESTED and REPLAY -> the use case. @module */
import type { Incoming, Outcome } from "shared/bus/consumer.ts";
import type { Outgoing } from "shared/bus/message.ts";
import { readBatch } from "shared/bus/read_events.ts";
import { HEADER } from "shared/contracts/envelope.ts";
import type { ReplayTarget } from "shared/contracts/replay.ts";
import type { Batch } from "./preprocess.ts";

export interface MessagesDeps {
  preprocess(batches: readonly Batch[]): Promise<Outgoing[]>;
}

/** Events of the live flow. What is no event is set aside by itself. */
export function createIngestedHandler({ preprocess }: MessagesDeps) {
  return async (messages: readonly Incoming[]): Promise<Outcome> => {
    const read = messages.map((message) => toBatch(message, { run: "", handOn: true }));
    return {
      publish: await preprocess(read.map(({ batch }) => batch)),
      aside: read.flatMap(({ aside }) => aside),
    };
  };
}

/** Events of replays, as far as they are for this service. */
export function createReplayHandler({ preprocess }: MessagesDeps) {
  return async (messages: readonly Incoming[]): Promise<Outcome> => {
    const read = messages.flatMap((message) => {
      const to = message.headers[HEADER.replayTo] as ReplayTarget | undefined;
      const run = message.headers[HEADER.run];
      // Whom a message of somebody's own making is for, nobody knows.
      if (run === undefined || (to !== "all" && to !== "data-preprocessing")) return [];
      return [toBatch(message, { run, handOn: to === "all" })];
    });
    if (read.length === 0) return {};
    return {
      publish: await preprocess(read.map(({ batch }) => batch)),
      aside: read.flatMap(({ aside }) => aside),
    };
  };
}

function toBatch(message: Incoming, flow: Pick<Batch, "run" | "handOn">) {
  const { events, aside } = readBatch(message);
  const batch: Batch = {
    ...flow,
    stream: message.stream,
    sequence: message.sequence,
    receivedAt: message.receivedAt,
    source: message.name,
    events,
    project: message.headers[HEADER.project],
    clock: message.headers[HEADER.clock],
  };
  return { batch, aside };
}
