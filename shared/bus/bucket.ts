/**
 * Key-value buckets: state that must be right after a missed message.
 *
 * @module
 */
import { type Consumer, type ConsumerMessages, DeliverPolicy, type JsMsg } from "@nats-io/jetstream";
import { Kvm } from "@nats-io/kv";
import type { z } from "zod";
import { delay } from "../delay.ts";
import { AppError, messageOf, unavailable } from "../errors.ts";
import type { Part } from "../lifecycle.ts";
import type { Logger } from "../log.ts";
import { parseWith } from "../validation.ts";
import { isBusAway, isMissing } from "./bus_errors.ts";
import type { Bus } from "./connection.ts";
import type { Outgoing } from "./message.ts";
import { ensureTopology } from "./topology.ts";

/** Marks an entry that is a removal (`DEL` or `PURGE`). */
const OPERATION_HEADER = "KV-Operation";

const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { fatal: true });

/**
 * The value of a key; `undefined` when there is none.
 *
 * @throws {AppError} `invalid` when the value is not of the schema, `unavailable` when NATS is away
 */
export async function readBucket<Schema extends z.ZodType>(
  bus: Bus,
  bucket: string,
  key: string,
  schema: Schema,
): Promise<z.output<Schema> | undefined> {
  const action = `read "${key}" in the bucket "${bucket}"`;
  try {
    const kv = await new Kvm(bus.js).open(bucket);
    const entry = await kv.get(key);
    if (entry === null || entry.operation !== "PUT") return undefined;
    return parseValue(schema, entry.value, action);
  } catch (error) {
    if (!isBusAway(error)) throw error;
    throw unavailable(`Cannot ${action}: ${messageOf(error)}`, { cause: error });
  }
}

/** A put as a message for an outbox; `value` must be JSON and carry its `revision` or `version`. */
export function bucketPut(bucket: string, key: string, value: unknown, messageId: string): Outgoing {
  return { subject: `$KV.${bucket}.${key}`, data: encoder.encode(JSON.stringify(value)), messageId };
}

/** A removal as a message for an outbox: watchers see the key with `undefined`. */
export function bucketRemove(bucket: string, key: string, messageId: string): Outgoing {
  return {
    subject: `$KV.${bucket}.${key}`,
    data: new Uint8Array(),
    headers: { [OPERATION_HEADER]: "DEL" },
    messageId,
  };
}

export interface WatchOptions<Schema extends z.ZodType> {
  bucket: string;
  /** A key, or a pattern with `*` and `>`. */
  filter: string;
  schema: Schema;
  /**
   * Told of every entry, one after the other: first of those in force, then of each change, `undefined` for a
   * key that was removed. After a reconnect, and when a message was lost on the way, of those in force again as far
   * as they changed.
   */
  onEntry(key: string, value: z.output<Schema> | undefined): void | Promise<void>;
  log: Logger;
  /** Waits between two looks for what was lost; for tests. */
  pause?: typeof delay;
}

/**
 * Follows a bucket. A change is told at once, and within a second where its message was lost. `start()` resolves when the entries in force have been told. An entry that is not of the
 * schema, or that `onEntry` refuses, is logged and passed over.
 */
export function watchBucket<Schema extends z.ZodType>(bus: Bus, options: WatchOptions<Schema>): Part {
  const watcher = new BucketWatcher(bus, options);
  return {
    name: `watch of ${options.bucket} ${options.filter}`,
    start: () => watcher.start(),
    stop: () => watcher.stop(),
  };
}

const MAX_RETRY_MS = 5_000;
/** How often the library asks again for what may come; it notices within this time that nobody listens. */
const EXPIRES_MS = 4_000;
/** How often it is asked what the server has sent: what was lost on the way is noticed within a second. */
const LOOK_MS = 750;

class BucketWatcher<Schema extends z.ZodType> {
  readonly #bus: Bus;
  readonly #options: WatchOptions<Schema>;
  readonly #prefix: string;
  readonly #stopped = new AbortController();
  /** The revision last told of each key, in the bucket made at `#bucketCreated`. */
  readonly #revisions = new Map<string, number>();
  #bucketCreated = "";
  #messages: ConsumerMessages | undefined;
  /** The last message that came, by the count of the consumer that it came from; `telling` until it is told. */
  #last = { consumer: "", sequence: 0, telling: false };
  #running: Promise<void> = Promise.resolve();

  constructor(bus: Bus, options: WatchOptions<Schema>) {
    this.#bus = bus;
    this.#options = options;
    this.#prefix = `$KV.${options.bucket}.`;
  }

  async start(): Promise<void> {
    const { promise: complete, resolve } = Promise.withResolvers<void>();
    this.#running = this.#run(resolve);
    await complete;
  }

  async stop(): Promise<void> {
    this.#stopped.abort();
    this.#messages?.stop();
    await this.#running;
  }

  /** @param complete called once the entries in force have been told, or never will be */
  async #run(complete: () => void): Promise<void> {
    const { bucket, log } = this.#options;
    const { nc } = this.#bus;
    // What was missed while NATS was away is found by reading the entries in force again.
    const ignoreReconnects = this.#bus.onReconnect(() => this.#messages?.stop());
    void nc.closed().then(() => this.#stopped.abort());
    for (let failures = 0; !this.#stopped.signal.aborted;) {
      try {
        await this.#follow(() => {
          failures = 0;
          complete();
        });
      } catch (error) {
        if (this.#stopped.signal.aborted) break;
        failures++;
        log.warn({ bucket, reason: messageOf(error) }, "Cannot watch a bucket: trying again");
        if (isMissing(error)) await this.#makeTopology();
        await delay(Math.min(100 * 2 ** failures, MAX_RETRY_MS), this.#stopped.signal);
      }
    }
    ignoreReconnects();
    complete();
  }

  async #follow(complete: () => void): Promise<void> {
    const { bucket, filter } = this.#options;
    const stream = `KV_${bucket}`;
    const { created } = await this.#bus.jsm.streams.info(stream);
    // A bucket that was made anew counts its revisions from 1 again.
    if (created !== this.#bucketCreated) this.#revisions.clear();
    this.#bucketCreated = created;

    const consumer = await this.#bus.js.consumers.get(stream, {
      filter_subjects: [`${this.#prefix}${filter}`],
      deliver_policy: DeliverPolicy.LastPerSubject,
    });
    const { num_pending: inForce } = await consumer.info(true);
    // It ends where the bucket is gone, to be watched anew; the library alone would wait for it for ever.
    const messages = await consumer.consume({ expires: EXPIRES_MS, abort_on_missing_resource: true });
    this.#messages = messages;
    if (this.#stopped.signal.aborted) messages.stop();
    if (inForce === 0) complete();
    const over = new AbortController();
    void this.#lookForLost(consumer, messages, over.signal);
    try {
      for await (const message of messages) {
        const { consumer, deliverySequence, pending } = message.info;
        this.#last = { consumer, sequence: deliverySequence, telling: true };
        await this.#tell(message);
        this.#last.telling = false;
        if (pending === 0) complete();
      }
    } finally {
      over.abort();
    }
  }

  /**
   * Ends the messages, so that the entries in force are read again, when the server has sent more than has come. Never
   * rejects.
   */
  async #lookForLost(consumer: Consumer, messages: ConsumerMessages, over: AbortSignal): Promise<void> {
    const { pause = delay, bucket, log } = this.#options;
    while (true) {
      await pause(LOOK_MS, over);
      if (over.aborted) return;
      try {
        const { name, delivered } = await consumer.info();
        const { consumer: last, sequence, telling } = this.#last;
        const came = name === last ? sequence : 0;
        // What waits in the client while another one is told is not lost. The library's own count of that, getPending(),
        // stays above 0 once it has asked the server for more.
        const waiting = messages.getReceived() > messages.getProcessed();
        if (telling || waiting || delivered.consumer_seq <= came) continue;
        log.warn({ bucket }, "A change of a bucket was lost on the way: reading what is in force");
        messages.stop();
      } catch (error) {
        // That the connection or the consumer has ended is seen by who reads the messages.
        if (!isBusAway(error)) log.warn({ bucket, err: error }, "Cannot look for lost changes of a bucket");
      }
    }
  }

  async #tell(message: JsMsg): Promise<void> {
    const { bucket, schema, onEntry, log } = this.#options;
    const key = message.subject.slice(this.#prefix.length);
    if (message.seq <= (this.#revisions.get(key) ?? 0)) return;
    this.#revisions.set(key, message.seq);
    try {
      const removed = message.headers?.get(OPERATION_HEADER);
      await onEntry(
        key,
        removed ? undefined : parseValue(schema, message.data, `read "${key}" in the bucket "${bucket}"`),
      );
    } catch (error) {
      log.error({ err: error, bucket, key }, `Cannot take an entry of a bucket: ${messageOf(error)}`);
    }
  }

  /** NATS may have lost its data. The bucket is made again; its owners fill it again. */
  async #makeTopology(): Promise<void> {
    try {
      await ensureTopology(this.#bus);
    } catch (error) {
      this.#options.log.warn({ err: error }, "Cannot make the bucket again");
    }
  }
}

function parseValue<Schema extends z.ZodType>(
  schema: Schema,
  data: Uint8Array,
  action: string,
): z.output<Schema> {
  let value: unknown;
  try {
    value = JSON.parse(decoder.decode(data));
  } catch (error) {
    throw new AppError("invalid", `Cannot ${action}: the value must be JSON`, { cause: error });
  }
  return parseWith(schema, value, action);
}
