/**
 * What a consumer has fetched from its durable and not yet settled: the pull requests, one bounded buffer ahead
 * of the work, and the word to the server that messages are still being worked on.
 *
 * Pull requests are made here rather than by the client library's iterators, because those keep messages where
 * nobody can tell the server about them while the consumer pauses.
 *
 * @module
 */
import type { ConsumerInfo, PullOptions } from "@nats-io/jetstream";
import { createInbox, millis, type Msg, nanos, type Subscription } from "nats";
import { delay } from "../delay.ts";
import { messageOf } from "../errors.ts";
import { isInfrastructureError } from "../infrastructure_error.ts";
import type { Logger } from "../log.ts";
import { isMissing } from "./bus_errors.ts";
import { answeredWithin, type Bus } from "./connection.ts";
import { type Delivery, toDelivery } from "./delivery.ts";
import type { Incoming } from "./message.ts";
import { ensureTopology } from "./topology.ts";

/** A message in the consumer's hands. */
export interface Held {
  readonly incoming: Incoming;
  /** The last delivery: the one to acknowledge. */
  delivery: Delivery;
  readonly heldSince: number;
}

export interface IntakeOptions {
  stream: string;
  durable: string;
  /** Messages fetched ahead of those that were taken ... */
  ahead: number;
  /** ... and bytes of them, or a single message that is larger. */
  aheadBytes: number;
  /** Told when the durable was made, before anything is fetched from it: at the start and after every break. */
  onOpen?: ((createdAt: string) => Promise<void>) | undefined;
  /** Before it fetches anew it lets come again what somebody has and does not speak for: those come first then. */
  inOrder?: boolean | undefined;
  log: Logger;
}

type Timer = ReturnType<typeof setInterval>;

const EXPIRES_MS = 30_000;
const HEARTBEAT_MS = 5_000;
/** Two heartbeats missed, and some slack. */
const SILENCE_MS = 12_000;
const CHECK_MS = 1_000;
const MAX_RETRY_MS = 5_000;
const DRAIN_TIMEOUT_MS = 2_000;

export class Intake {
  readonly #bus: Bus;
  readonly #options: IntakeOptions;
  readonly #closing = new AbortController();
  readonly #buffer: Held[] = [];
  #bufferedBytes = 0;
  /** By sequence, buffered or taken: a redelivery of one of them is not a second message. */
  readonly #held = new Map<number, Held>();
  #subscription: Subscription | undefined;
  #inbox = "";
  /** Messages that the open pull request may still bring; there is at most one, or the bytes would add up. */
  #requested = 0;
  #heardAt = 0;
  #ackWaitMs = Infinity;
  #checks: Timer | undefined;
  #heartbeats: Timer | undefined;
  #ignoreReconnects = () => {};
  #opening: Promise<void> | undefined;
  #wake = () => {};

  constructor(bus: Bus, options: IntakeOptions) {
    this.#bus = bus;
    this.#options = options;
  }

  open(): void {
    void this.#bus.nc.closed().then(() => this.#closing.abort());
    this.#closing.signal.addEventListener("abort", () => this.#wake());
    this.#ignoreReconnects = this.#bus.onReconnect(() => this.#reopen());
    this.#checks = setInterval(() => this.#check(), CHECK_MS);
    this.#reopen();
  }

  /**
   * Resolves with what is there, at most `max` messages of `maxBytes` together or a single larger one, as soon as
   * there is one; with none once it is closed.
   */
  async take(max: number, maxBytes: number): Promise<Held[]> {
    while (this.#buffer.length === 0 && !this.#closing.signal.aborted) {
      await new Promise<void>((resolve) => this.#wake = resolve);
    }
    if (this.#closing.signal.aborted) return [];
    const taken = this.#buffer.splice(0, this.#countWithin(max, maxBytes));
    this.#bufferedBytes -= bytesOf(taken);
    this.#request();
    return taken;
  }

  #countWithin(max: number, maxBytes: number): number {
    let bytes = 0;
    const beyond = this.#buffer.findIndex(({ incoming }) => (bytes += incoming.data.length) > maxBytes);
    return Math.min(max, beyond === -1 ? this.#buffer.length : Math.max(1, beyond));
  }

  /** Acknowledges; the messages are done with. */
  acknowledge(messages: readonly Held[]): void {
    for (const held of messages) {
      this.#forget(held);
      if (!this.#bus.nc.isClosed()) held.delivery.acknowledge();
    }
  }

  /** Gives back what is still held of these, to come again. */
  giveBack(messages: Iterable<Held>): void {
    for (const held of messages) {
      if (this.#forget(held) && !this.#bus.nc.isClosed()) held.delivery.giveBack();
    }
  }

  /** Stops fetching: {@link Intake.take} resolves with nothing from here on. */
  close(): void {
    this.#closing.abort();
    clearInterval(this.#checks);
    this.#ignoreReconnects();
  }

  /**
   * Gives back what is held, and what was still on its way, so that another copy gets it at once; after
   * {@link Intake.close}.
   */
  async release(): Promise<void> {
    clearInterval(this.#heartbeats);
    await this.#opening;
    if (this.#subscription !== undefined && !this.#bus.nc.isClosed()) {
      await answeredWithin(DRAIN_TIMEOUT_MS, this.#subscription.drain(), this.#options.log);
    }
    this.giveBack(this.#held.values());
  }

  /** Forgets what is held without a word, as a process that dies does; after {@link Intake.close}. */
  abandon(): void {
    clearInterval(this.#heartbeats);
    this.#subscription?.unsubscribe();
    this.#subscription = undefined;
    this.#held.clear();
  }

  /** @returns whether it was still held */
  #forget(held: Held): boolean {
    const { sequence } = held.incoming;
    return this.#held.get(sequence) === held && this.#held.delete(sequence);
  }

  /** Starts over with pull requests: at the start, after a reconnect, and when the server fell silent. */
  #reopen(): void {
    this.#opening ??= this.#subscribeAgain().finally(() => this.#opening = undefined);
  }

  async #subscribeAgain(): Promise<void> {
    const { stream, durable, log } = this.#options;
    const { signal } = this.#closing;
    this.#subscription?.unsubscribe();
    this.#subscription = undefined;
    for (let failures = 0; !signal.aborted; failures++) {
      try {
        const info = await this.#consumerInfo();
        await this.#options.onOpen?.(info.created);
        if (signal.aborted) return;
        this.#keepAlive(info);
        if (this.#options.inOrder && info.num_ack_pending > this.#held.size) {
          await delay(this.#ackWaitMs, signal);
          if (signal.aborted) return;
        }
        this.#inbox = createInbox();
        this.#requested = 0;
        this.#heardAt = performance.now();
        this.#subscription = this.#bus.nc.subscribe(this.#inbox, {
          callback: (error, message) => error === null ? this.#receive(message) : this.#lookAgainSoon(),
        });
        this.#request();
        return;
      } catch (error) {
        if (signal.aborted) return;
        const report = { stream, durable, reason: messageOf(error) };
        if (!isInfrastructureError(error)) {
          log.error({ err: error, stream, durable }, "Cannot fetch from a stream");
        } else if (failures === 0) log.warn(report, "Cannot fetch from a stream yet");
        await delay(Math.min(100 * 2 ** failures, MAX_RETRY_MS), signal);
      }
    }
  }

  /** NATS may have lost its data: then streams and durables are made again. */
  async #consumerInfo(): Promise<ConsumerInfo> {
    const { stream, durable, log } = this.#options;
    try {
      return await this.#bus.jsm.consumers.info(stream, durable);
    } catch (error) {
      if (!isMissing(error)) throw error;
      log.warn({ stream, durable, reason: messageOf(error) }, "A durable is missing: making it again");
      await ensureTopology(this.#bus);
      return await this.#bus.jsm.consumers.info(stream, durable);
    }
  }

  #keepAlive({ config }: ConsumerInfo): void {
    this.#ackWaitMs = millis(config.ack_wait ?? nanos(EXPIRES_MS));
    clearInterval(this.#heartbeats);
    // A message is first spoken for when it is between a third and two thirds of the wait old.
    this.#heartbeats = setInterval(() => this.#speakForHeld(), this.#ackWaitMs / 3);
  }

  #speakForHeld(): void {
    if (this.#bus.nc.isClosed()) return;
    const before = performance.now() - this.#ackWaitMs / 3;
    for (const held of this.#held.values()) if (held.heldSince <= before) held.delivery.speakFor();
  }

  /** Asks for more when half of the room ahead is free: seldom enough to be cheap. */
  #request(): void {
    const { stream, durable, ahead, aheadBytes } = this.#options;
    if (this.#subscription === undefined || this.#closing.signal.aborted || this.#requested > 0) return;
    if (this.#buffer.length > ahead / 2 || this.#bufferedBytes > aheadBytes / 2) return;
    this.#requested = ahead - this.#buffer.length;
    const largest = this.#bus.nc.info?.max_payload ?? 0;
    const request: Partial<PullOptions> = {
      "batch": this.#requested,
      // A message beyond it would never come.
      "max_bytes": Math.max(aheadBytes, 2 * largest),
      "expires": nanos(EXPIRES_MS),
      "idle_heartbeat": nanos(HEARTBEAT_MS),
    };
    const { apiPrefix } = this.#bus.js;
    this.#bus.nc.publish(`${apiPrefix}.CONSUMER.MSG.NEXT.${stream}.${durable}`, JSON.stringify(request), {
      reply: this.#inbox,
    });
  }

  /** What is about the request comes to the inbox; messages come with the subject they were published on. */
  #receive(message: Msg): void {
    this.#heardAt = performance.now();
    const delivery = toDelivery(message);
    if (delivery === undefined) this.#receiveStatus(message);
    else this.#receiveDelivery(delivery);
  }

  #receiveDelivery(delivery: Delivery): void {
    this.#requested = Math.max(0, this.#requested - 1);
    const { incoming } = delivery;
    const known = this.#held.get(incoming.sequence);
    // A stream that was lost and made again counts from 1 again: only the time tells its messages apart.
    if (known?.incoming.receivedAt === incoming.receivedAt) {
      known.delivery = delivery;
    } else {
      const held = { incoming, delivery, heldSince: performance.now() };
      this.#held.set(incoming.sequence, held);
      this.#buffer.push(held);
      this.#bufferedBytes += incoming.data.length;
      this.#wake();
    }
    this.#request();
  }

  #receiveStatus({ headers }: Msg): void {
    const code = headers?.code ?? 0;
    // A request with a bound on its bytes ends with this even when all of it came; the next may be open already.
    if (code === STATUS_HEARTBEAT || headers?.description === BATCH_COMPLETED) return;
    const left = Number(headers?.get(PENDING_MESSAGES_HEADER) || NaN);
    const isFull = code === STATUS_CONFLICT && headers?.description === BYTES_REACHED;
    if (isFull || (code === STATUS_EXPIRED && Number.isInteger(left))) {
      this.#requested = 0;
      this.#request();
    } else {
      // The durable is gone, its leader moved, or nobody answers.
      this.#lookAgainSoon();
    }
  }

  /** At the next check, not at once: a server that refuses must not be asked without a pause. */
  #lookAgainSoon(): void {
    this.#heardAt = -Infinity;
  }

  #check(): void {
    // Without an open request, silence is as it should be; one is made as soon as there is room.
    if (this.#requested === 0) this.#request();
    else if (performance.now() - this.#heardAt > SILENCE_MS) this.#reopen();
  }
}

const STATUS_HEARTBEAT = 100;
const STATUS_EXPIRED = 408;
const STATUS_CONFLICT = 409;
/** The end of a pull request that brought all it asked for ... */
const BATCH_COMPLETED = "Batch Completed";
/** ... and of one whose bytes the next message would exceed. */
const BYTES_REACHED = "Message Size Exceeds MaxBytes";
const PENDING_MESSAGES_HEADER = "Nats-Pending-Messages";

function bytesOf(messages: readonly Held[]): number {
  return messages.reduce((sum, { incoming }) => sum + incoming.data.length, 0);
}
