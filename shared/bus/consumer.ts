/**
 * The consumer of a durable: takes messages in batches, has them handled, publishes what follows, acknowledges.
 *
 * Delivery is at least once, and nothing is lost or doubled as long as `handle` writes under unique keys: a
 * crash at any point makes the same messages come again.
 *
 * - A failure of the infrastructure pauses the consumer, keeps the messages, and counts no attempt.
 * - After another failure the batch is split until the message that fails is alone. A message that fails alone
 *   `maxAttempts` times is moved whole to DEADLETTER.
 *
 * @module
 */
import type { Registry } from "prom-client";
import type { StreamRow } from "../contracts/streams.ts";
import { delay } from "../delay.ts";
import { messageOf } from "../errors.ts";
import { isInfrastructureError } from "../infrastructure_error.ts";
import type { Part } from "../lifecycle.ts";
import type { Logger } from "../log.ts";
import { type Bus, flushWithin } from "./connection.ts";
import { type ConsumerMetrics, consumerMetrics } from "./consumer_metrics.ts";
import { type CrashPoint, type CrashStage, InjectedCrash } from "./crash.ts";
import { type Aside, DEADLETTER_HEADER, deadLetterOf, deadLetterOfAside, fitted } from "./dead_letter.ts";
import { type Held, Intake } from "./intake.ts";
import type { Incoming, Outgoing } from "./message.ts";
import { publishAll } from "./publisher.ts";

export type { CrashPoint } from "./crash.ts";
export type { Aside } from "./dead_letter.ts";
export type { Incoming, Outgoing } from "./message.ts";

/** What handling a batch led to. */
export interface Outcome {
  /** Published before the batch is acknowledged. */
  publish?: readonly Outgoing[];
  /** Single bad events, moved to DEADLETTER. */
  aside?: readonly Aside[];
}

export interface ConsumerOptions {
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
   * Writes to the database in one transaction under unique keys. Must be repeatable: the same messages come
   * again, in other company, when a later step fails. Called for one batch after the other.
   */
  handle(messages: readonly Incoming[]): Promise<Outcome>;
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
   * the header {@link DEADLETTER_HEADER.sealed}. Default: all of it may. Events that are set aside are not asked
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

export function createConsumer(bus: Bus, options: ConsumerOptions): Consumer {
  return new DurableConsumer(bus, options);
}

const DEFAULT_MAX_MESSAGES = 256;
const DEFAULT_MAX_BYTES = 1024 * 1024;
const DEFAULT_MAX_ATTEMPTS = 5;
const FIRST_PAUSE_MS = 250;
const MAX_PAUSE_MS = 10_000;
const FIRST_RETRY_MS = 100;
const LAG_PERIOD_MS = 5_000;
const FLUSH_TIMEOUT_MS = 2_000;

/** Thrown through the work in hand when the consumer must end before it could be done. */
class Stopping extends Error {}

/** What failed, without the words that may quote a message which must not be read. */
function unquoted(error: unknown): Error {
  const code = error instanceof Error && "code" in error ? ` ${error.code}` : "";
  return new Error(`it failed with ${error instanceof Error ? error.name : typeof error}${code}`);
}

/** A message that failed when it was handled alone. */
interface Suspect {
  held: Held;
  error: unknown;
}

class DurableConsumer implements Consumer {
  readonly name: string;
  readonly #bus: Bus;
  readonly #options: ConsumerOptions;
  readonly #metrics: ConsumerMetrics;
  readonly #maxMessages: number;
  readonly #maxBytes: number;
  readonly #maxAttempts: number;
  readonly #crashPoint: CrashPoint | undefined;
  readonly #stopping = new AbortController();
  readonly #intake: Intake;
  #running: Promise<void> = Promise.resolve();
  #lagTimer: ReturnType<typeof setInterval> | undefined;
  #deadLetters = 0;

  constructor(bus: Bus, options: ConsumerOptions) {
    const { stream, durable, metrics, log } = options;
    this.name = `consumer ${durable} of ${stream.name}`;
    this.#bus = bus;
    this.#options = options;
    this.#maxMessages = options.maxMessages ?? DEFAULT_MAX_MESSAGES;
    this.#maxBytes = options.maxBytes ?? DEFAULT_MAX_BYTES;
    this.#maxAttempts = options.maxAttempts ?? DEFAULT_MAX_ATTEMPTS;
    this.#crashPoint = options.crashPoint ?? bus.crashPoint;
    this.#metrics = consumerMetrics(metrics, { stream: stream.name, durable });
    this.#intake = new Intake(bus, {
      stream: stream.name,
      durable,
      ahead: this.#maxMessages,
      aheadBytes: this.#maxBytes,
      onOpen: options.onOpen?.bind(options),
      inOrder: options.inOrder,
      log,
    });
  }

  /** Does not wait for NATS: what is not there yet is waited for in the background. */
  start(): Promise<void> {
    this.#intake.open();
    this.#lagTimer = setInterval(() => this.#measureLag(), LAG_PERIOD_MS);
    this.#running = this.#run();
    return Promise.resolve();
  }

  /** Finishes the batch in hand, unless it waits for the infrastructure; what is not done goes to other copies. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    clearInterval(this.#lagTimer);
    this.#intake.close();
    await this.#running;
    await this.#intake.release();
    await flushWithin(this.#bus.nc, FLUSH_TIMEOUT_MS, this.#options.log);
  }

  async lag(): Promise<number> {
    const { stream, durable } = this.#options;
    const { num_pending, num_ack_pending } = await this.#bus.jsm.consumers.info(stream.name, durable);
    return num_pending + num_ack_pending;
  }

  async progress(): Promise<Progress> {
    const { stream, durable } = this.#options;
    // Asked first: what is not pending afterwards is all of it.
    const { state: { last_seq: last } } = await this.#bus.jsm.streams.info(stream.name);
    const { num_pending, num_ack_pending, ack_floor } = await this.#bus.jsm.consumers.info(
      stream.name,
      durable,
    );
    return { last, done: num_pending + num_ack_pending === 0 ? last : ack_floor.stream_seq };
  }

  deadLetters(): number {
    return this.#deadLetters;
  }

  async #run(): Promise<void> {
    const { log } = this.#options;
    while (true) {
      const batch = await this.#intake.take(this.#maxMessages, this.#maxBytes);
      if (batch.length === 0) return;
      try {
        await this.#settle(batch);
      } catch (error) {
        if (error instanceof Stopping) return;
        if (error instanceof InjectedCrash) {
          this.#intake.close();
          this.#intake.abandon();
          return;
        }
        log.error(
          { err: error },
          `The ${this.name} can neither handle nor move messages: ${messageOf(error)}`,
        );
        await delay(MAX_PAUSE_MS, this.#stopping.signal);
        this.#intake.giveBack(batch);
      }
    }
  }

  /** Brings every message of the batch to its end: acknowledged, or moved to DEADLETTER. */
  async #settle(batch: readonly Held[]): Promise<void> {
    const startedAt = performance.now();
    let suspects = await this.#deliverOrSplit(batch);
    for (let attempt = 2; suspects.length > 0 && attempt <= this.#maxAttempts; attempt++) {
      await delay(FIRST_RETRY_MS * 2 ** (attempt - 2), this.#stopping.signal);
      if (this.#stopping.signal.aborted) throw new Stopping();
      const remaining: Suspect[] = [];
      for (const { held } of suspects) remaining.push(...await this.#deliverOrSplit([held]));
      suspects = remaining;
    }
    if (suspects.length > 0) await this.#moveToDeadLetters(suspects);
    this.#metrics.handled(batch.length, (performance.now() - startedAt) / 1_000);
  }

  /** @returns the messages that failed alone; all others are done */
  async #deliverOrSplit(batch: readonly Held[]): Promise<Suspect[]> {
    try {
      await this.#throughOutages(() => this.#deliver(batch));
      return [];
    } catch (error) {
      if (error instanceof Stopping || error instanceof InjectedCrash) throw error;
      this.#metrics.failed();
      const [held] = batch;
      if (batch.length === 1) return [{ held: held!, error }];
      const middle = batch.length >> 1;
      const first = await this.#deliverOrSplit(batch.slice(0, middle));
      return [...first, ...await this.#deliverOrSplit(batch.slice(middle))];
    }
  }

  async #deliver(batch: readonly Held[]): Promise<void> {
    const { service, stream, handle } = this.#options;
    const { publish = [], aside = [] } = await handle(batch.map(({ incoming }) => incoming));
    this.#reach("written");
    const letters = aside.map((event) => deadLetterOfAside(service, stream.name, event));
    await this.#publish(publish, letters);
    this.#reach("published");
    this.#intake.acknowledge(batch);
    this.#reach("acknowledged");
  }

  async #moveToDeadLetters(suspects: readonly Suspect[]): Promise<void> {
    const { service, stream, log, seal, onDeadLetters } = this.#options;
    const attempts = this.#maxAttempts;
    const moved = await this.#throughOutages(async () => {
      await onDeadLetters?.(suspects.map(({ held }) => held.incoming));
      const failures = await Promise.all(suspects.map(async ({ held: { incoming }, error }) => {
        const message = await seal?.(incoming) ?? incoming;
        if (message === incoming) return { message, error };
        const sealed = message.headers[DEADLETTER_HEADER.sealed] === "true";
        return { message, error: unquoted(error), sealed };
      }));
      await this.#publish(
        [],
        failures.map(({ message, ...failure }) => deadLetterOf(service, message, { ...failure, attempts })),
      );
      return failures;
    });
    this.#intake.acknowledge(suspects.map(({ held }) => held));
    for (const { message: { subject, sequence }, error } of moved) {
      log.error(
        { err: error, stream: stream.name, subject, sequence },
        `Moved a message to the dead letters after ${attempts} attempts: ${messageOf(error)}`,
      );
    }
  }

  async #publish(messages: readonly Outgoing[], letters: readonly Outgoing[]): Promise<void> {
    const fitting = await Promise.all(letters.map((letter) => fitted(this.#bus, letter)));
    await publishAll(this.#bus, [...messages, ...fitting], { signal: this.#stopping.signal });
    this.#deadLetters += letters.length;
    if (letters.length > 0) this.#metrics.deadLetters(letters.length);
  }

  /** Does the work again, after growing pauses, until the infrastructure lets it come to its own end. */
  async #throughOutages<T>(work: () => Promise<T>): Promise<T> {
    const { log } = this.#options;
    let pauses = 0;
    const pausedAt = performance.now();
    try {
      while (true) {
        try {
          return await work();
        } catch (error) {
          if (!isInfrastructureError(error)) throw error;
          if (this.#stopping.signal.aborted || this.#bus.nc.isClosed()) throw new Stopping();
          if (pauses === 0) {
            log.warn({ reason: messageOf(error) }, `The ${this.name} pauses: ${messageOf(error)}`);
            this.#metrics.paused(true);
          }
          await delay(Math.min(FIRST_PAUSE_MS * 2 ** pauses++, MAX_PAUSE_MS), this.#stopping.signal);
          if (this.#stopping.signal.aborted) throw new Stopping();
        }
      }
    } finally {
      if (pauses > 0) {
        this.#metrics.paused(false);
        const seconds = ((performance.now() - pausedAt) / 1_000).toFixed(1);
        if (!this.#stopping.signal.aborted) log.info(`The ${this.name} goes on after ${seconds} s`);
      }
    }
  }

  #reach(stage: CrashStage): void {
    this.#crashPoint?.(stage);
  }

  #measureLag(): void {
    if (this.#bus.nc.isClosed()) return;
    this.lag().then(
      (messages) => this.#metrics.lag(messages),
      (error) => this.#options.log.debug({ err: error }, "Cannot measure the lag of a consumer"),
    );
  }
}
