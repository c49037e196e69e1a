/** Signals from the bus -> the rules they concern. @module */
import type { Incoming, Outcome } from "shared/bus/consumer.ts";
import { readEvents } from "shared/bus/read_events.ts";
import type { PlatformEvent } from "shared/contracts/envelope.ts";
import { type Signal, signalSchema } from "shared/contracts/signal.ts";

export interface SignalHandlerDeps {
  judge: (events: readonly PlatformEvent<Signal>[]) => Promise<void>;
}

export function createSignalHandler({ judge }: SignalHandlerDeps) {
  return async (messages: readonly Incoming[]): Promise<Outcome> => {
    const { events, aside } = readEvents(messages, signalSchema);
    await judge(events);
    return { aside };
  };
}
