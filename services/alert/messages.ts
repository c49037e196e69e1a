/** Signals from the bus -> the rules they concern. @module */
import { decodeBatch } from "shared/bus/batch.ts";
import type { Incoming, Outcome } from "shared/bus/consumer.ts";
import type { PlatformEvent } from "shared/contracts/envelope.ts";
import { type Signal, signalSchema } from "shared/contracts/model_monitoring.ts";

export interface SignalHandlerDeps {
  judge: (events: readonly PlatformEvent<Signal>[]) => Promise<void>;
}

export function createSignalHandler({ judge }: SignalHandlerDeps) {
  return async (messages: readonly Incoming[]): Promise<Outcome> => {
    await judge(
      messages.flatMap(decodeBatch).map((event) => ({ ...event, data: signalSchema.parse(event.data) })),
    );
    return {};
  };
}
