/**
 * Looking into a stream in tests, without a consumer that would change what the stream keeps.
 *
 * @module
 */
import type { StoredMsg } from "@nats-io/jetstream";
import type { Bus } from "../bus/connection.ts";
import type { PlatformEvent } from "../contracts/envelope.ts";
import type { StreamRow } from "../contracts/streams.ts";

/** All messages that the stream keeps, in their order. */
export async function storedMessages(bus: Bus, stream: string): Promise<StoredMsg[]> {
  const { state } = await bus.jsm.streams.info(stream);
  const messages: StoredMsg[] = [];
  for (let seq = Math.max(1, state.first_seq); seq <= state.last_seq; seq++) {
    // Those that were acknowledged everywhere are gone from between the others.
    const message = await bus.jsm.streams.getMessage(stream, { seq });
    if (message !== null) messages.push(message);
  }
  return messages;
}

/** The events of all messages that the stream keeps, in their order. */
export async function storedEvents<Data>(bus: Bus, stream: StreamRow): Promise<PlatformEvent<Data>[]> {
  const messages = await storedMessages(bus, stream.name);
  return messages.flatMap((message) => message.json<PlatformEvent<Data>[]>());
}

/**
 * Whether all that was ever published on the stream is acknowledged by the durable.
 *
 * The server counts what is pending a little after it accepted a message, so that a consumer's lag may read 0
 * just after a publish: this does not.
 */
export async function everythingIsAcknowledged(
  bus: Bus,
  { stream, durable }: { stream: StreamRow; durable: string },
): Promise<boolean> {
  const { state } = await bus.jsm.streams.info(stream.name);
  const { ack_floor, num_ack_pending } = await bus.jsm.consumers.info(stream.name, durable);
  return ack_floor.stream_seq === state.last_seq && num_ack_pending === 0;
}
