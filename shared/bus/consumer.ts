/**
 * The consumer of a durable: takes messages in batches, has them handled, publishes what follows, acknowledges.
 *
 * Delivery is at least once, and nothing is lost or doubled as long as `handle` writes under unique keys: a
 * crash at any point makes the same messages come again.
 *
 * Three batches are under way at most, in their order: while one is published and acknowledged the next is handled, and
 * the one behind it prepared.
 *
 * - A failure of the infrastructure pauses the consumer, keeps the messages, and counts no attempt.
 * - After another failure the batch is split until the message that fails is alone. A message that fails alone
 *   `maxAttempts` times is moved whole to DEADLETTER.
 *
 * @module
 */
import type { Registry } from "prom-client";
import type { StreamRow } from "../contracts/streams.ts";
import type { Part } from "../lifecycle.ts";
import type { Logger } from "../log.ts";
import type { Bus } from "./connection.ts";
import type { CrashPoint } from "./crash.ts";
import type { Aside } from "./dead_letter.ts";
import { DurableConsumer } from "./durable_consumer.ts";
import type { Incoming, Outgoing } from "./message.ts";

export type { CrashPoint } from "./crash.ts";
export type { Aside } from "./dead_letter.ts";
export type { Incoming, Outgoing } from "./message.ts";

/** What handling a batch led to. */
export interface Outcome {
  /** Published before the batch is acknowledged. What is dear to put together may wait until the next is written. */
  publish?: readonly Outgoing[] | (() => readonly Outgoing[]);
  /** Single bad events, moved to DEADLETTER. */
  aside?: readonly Aside[];
}

/** @typeParam Prepared what is made of messages before those ahead of them are written */
export interface ConsumerOptions<Prepared = void> {
  service: string;
  stream: StreamRow;
  durable: string;
  log: Logger;
  metrics: Registry;
  /** Most messages in one call of `handle`, and most that are fetched ahead. Default 256. */
  maxMessages?: number;
  /**
   * Most bytes of messages in one call of `handle`, and about the most that are fetched ahead. Default 1 MiB: read
   * into objects, a batch takes several times its bytes.
   */
  maxBytes?: number;
  /** How often a message may fail alone before it is moved to DEADLETTER. Default 5. */
  maxAttempts?: number;
  /**
   * Work that writes nothing, done while the batch ahead is being written. It is done once more where that one failed,
   * or the infrastructure, so it may say what it likes of a world that was not there in the end. Default: nothing.
   *
   * @param ahead what was prepared of the batch that is not written yet; undefined: all before are written
   */
  prepare?(messages: readonly Incoming[], ahead: Prepared | undefined): Promise<Prepared>;
  /**
   * Writes to the database in one transaction under unique keys. Must be repeatable: the same messages come
   * again, in other company, when a later step fails. Called for one batch after the other.
   */
  handle(messages: readonly Incoming[], prepared: Prepared): Promise<Outcome>;
  /**
   * One copy at a time takes messages, and wants them in the order of the stream also after another one died: it then
   * waits, for as long as the durable waits for an acknowledgement, until what that one had comes again. Default false.
   */
  inOrder?: boolean;
  /**
   * Told when the durable was made (RFC 3339), before anything is fetched from it: at the start, and after every
   * break in which it may have been made anew. Without its success nothing is fetched.
   */
  onOpen?(createdAt: string): Promise<void>;
  /**
   * Told of messages, whole and as they came, before they are moved to DEADLETTER. Must be repeatable: told again of
   * the same ones when a later step fails.
   */
  onDeadLetters?(messages: readonly Incoming[]): Promise<void>;
  /**
   * What of a message may stand in DEADLETTER: the message itself, or one with other data. What is encrypted carries
   * the header `DEADLETTER_HEADER.sealed`. Default: all of it may. Events that are set aside are not asked
   * about: they are the handler's own words.
   */
  seal?(message: Incoming): Promise<Incoming> | Incoming;
  crashPoint?: CrashPoint;
}

/** Sequences of a stream. */
export interface Progress {
  /** The last message that was published. */
  last: number;
  /** Up to this one all are acknowledged. */
  done: number;
}

export interface Consumer extends Part {
  /** Messages that are not acknowledged yet, by all copies. */
  lag(): Promise<number>;
  /** How far all copies have come together. */
  progress(): Promise<Progress>;
  /** Dead letters that this consumer published since its start. */
  deadLetters(): number;
}

export function createConsumer<Prepared = void>(bus: Bus, options: ConsumerOptions<Prepared>): Consumer {
  return new DurableConsumer(bus, options);
}
