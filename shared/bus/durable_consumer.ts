/** How a consumer brings batches to their end. @module */
import { delay } from "../delay.ts";
import { messageOf } from "../errors.ts";
import { type Bus, flushWithin } from "./connection.ts";
import type { Consumer, ConsumerOptions, Outcome, Progress } from "./consumer.ts";
import { type ConsumerMetrics, consumerMetrics } from "./consumer_metrics.ts";
import { type CrashPoint, type CrashStage, InjectedCrash } from "./crash.ts";
import { DEADLETTER_HEADER, deadLetterOf, deadLetterOfAside, fitted } from "./dead_letter.ts";
import { type Held, Intake } from "./intake.ts";
import type { Incoming, Outgoing } from "./message.ts";
import { Outages, Stopping } from "./outages.ts";
import { newPassage, type Passage, type Passed } from "./passage.ts";
import { publishAll } from "./publisher.ts";

const DEFAULT_MAX_MESSAGES = 256;
const DEFAULT_MAX_BYTES = 1024 * 1024;
const DEFAULT_MAX_ATTEMPTS = 5;
const NEXT_TRY_MS = 10_000;
const FIRST_RETRY_MS = 100;
const LAG_PERIOD_MS = 5_000;
const FLUSH_TIMEOUT_MS = 2_000;

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

/** What {@link createConsumer} makes. */
export class DurableConsumer<Prepared> implements Consumer {
  readonly name: string;
  readonly #bus: Bus;
  readonly #options: ConsumerOptions<Prepared>;
  readonly #metrics: ConsumerMetrics;
  readonly #maxMessages: number;
  readonly #maxBytes: number;
  readonly #maxAttempts: number;
  readonly #crashPoint: CrashPoint | undefined;
  readonly #stopping = new AbortController();
  readonly #intake: Intake;
  readonly #outages: Outages;
  #writing: Promise<unknown> = Promise.resolve();
  #running: Promise<void> = Promise.resolve();
  #lagTimer: ReturnType<typeof setInterval> | undefined;
  #deadLetters = 0;

  constructor(bus: Bus, options: ConsumerOptions<Prepared>) {
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
    this.#outages = new Outages(bus, {
      name: this.name,
      log,
      signal: this.#stopping.signal,
      onPause: (is) => this.#metrics.paused(is),
    });
  }

  /** Does not wait for NATS: what is not there yet is waited for in the background. */
  start(): Promise<void> {
    this.#intake.open();
    this.#lagTimer = setInterval(() => this.#measureLag(), LAG_PERIOD_MS);
    this.#running = this.#run();
    return Promise.resolve();
  }

  /** Finishes what is being handled, unless it waits for the infrastructure; what is not done goes to other copies. */
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
    let ahead = newPassage<Prepared>();
    ahead.written.resolve("straight");
    ahead.done.resolve("straight");
    while (true) {
      const batch = await this.#intake.take(this.#maxMessages, this.#maxBytes);
      if (batch.length === 0) break;
      const own = newPassage<Prepared>();
      void this.#pass(batch, ahead, own).then((passed) => {
        own.begun.resolve();
        own.written.resolve(passed);
        own.done.resolve(passed);
      });
      await own.begun.promise;
      ahead = own;
    }
    await ahead.done.promise;
  }

  /** Brings every message of the batch to its end: acknowledged, or moved to DEADLETTER. Never rejects. */
  async #pass(
    batch: readonly Held[],
    ahead: Passage<Prepared>,
    own: Passage<Prepared>,
  ): Promise<Passed> {
    const startedAt = performance.now();
    try {
      const passed = await this.#passAnyWay(batch, ahead, own);
      this.#metrics.handled(batch.length, (performance.now() - startedAt) / 1_000);
      return passed;
    } catch (error) {
      return await this.#giveUp(batch, error);
    }
  }

  async #passAnyWay(
    batch: readonly Held[],
    ahead: Passage<Prepared>,
    own: Passage<Prepared>,
  ): Promise<Passed> {
    try {
      await this.#passStraight(batch, ahead, own);
      return "straight";
    } catch (error) {
      if (isEnd(error)) throw error;
      if (await ahead.done.promise === "ended") throw new Stopping();
      await this.#settle(batch, error);
      return "astray";
    }
  }

  async #passStraight(
    batch: readonly Held[],
    ahead: Passage<Prepared>,
    own: Passage<Prepared>,
  ): Promise<void> {
    own.prepared = await this.#prepareAhead(batch, ahead);
    const before = await ahead.written.promise;
    if (before === "ended" || this.#stopping.signal.aborted) throw new Stopping();
    own.begun.resolve();
    let prepared = before === "straight" ? own.prepared : undefined;
    own.prepared = prepared;
    const outcome = await this.#outages.through(() => {
      const first = prepared;
      prepared = undefined;
      return this.#write(batch, first);
    });
    own.prepared = undefined;
    if (await ahead.done.promise === "ended") throw new Stopping();
    own.written.resolve("straight");
    await this.#outages.through(() => this.#finish(batch, outcome));
  }

  /** A failure says nothing yet: what is not prepared is so when its turn has come. */
  async #prepareAhead(
    batch: readonly Held[],
    ahead: Passage<Prepared>,
  ): Promise<{ value: Prepared } | undefined> {
    try {
      return { value: await this.#prepare(batch, ahead.prepared?.value) };
    } catch (error) {
      this.#options.log.debug({ err: error }, `The ${this.name} could not prepare a batch yet`);
      return undefined;
    }
  }

  async #prepare(batch: readonly Held[], ahead?: Prepared): Promise<Prepared> {
    // Without it `Prepared` is void.
    return await this.#options.prepare?.(incomingOf(batch), ahead) as Prepared;
  }

  /** Writes a batch when no other is being written. @param prepared undefined: that is to be done, too */
  #write(batch: readonly Held[], prepared?: { value: Prepared }): Promise<Outcome> {
    const write = async () => {
      const { value } = prepared ?? { value: await this.#prepare(batch) };
      const outcome = await this.#options.handle(incomingOf(batch), value);
      this.#reach("written");
      return outcome;
    };
    const written = this.#writing.then(write);
    this.#writing = Promise.allSettled([written]);
    return written;
  }

  /** Publishes what follows from a batch, and acknowledges it. */
  async #finish(batch: readonly Held[], { publish = [], aside = [] }: Outcome): Promise<void> {
    const { service, stream } = this.#options;
    const messages = typeof publish === "function" ? publish() : publish;
    await this.#publish(messages, aside.map((event) => deadLetterOfAside(service, stream.name, event)));
    this.#reach("published");
    this.#intake.acknowledge(batch);
    this.#reach("acknowledged");
  }

  /** Finds the messages of a batch that fail, and moves those that keep failing. @param error of the whole batch */
  async #settle(batch: readonly Held[], error: unknown): Promise<void> {
    let suspects = await this.#split(batch, error);
    for (let attempt = 2; suspects.length > 0 && attempt <= this.#maxAttempts; attempt++) {
      await delay(FIRST_RETRY_MS * 2 ** (attempt - 2), this.#stopping.signal);
      if (this.#stopping.signal.aborted) throw new Stopping();
      const remaining: Suspect[] = [];
      for (const { held } of suspects) remaining.push(...await this.#deliverOrSplit([held]));
      suspects = remaining;
    }
    if (suspects.length > 0) await this.#moveToDeadLetters(suspects);
  }

  /** @returns the messages that failed alone; all others are done */
  async #deliverOrSplit(batch: readonly Held[]): Promise<Suspect[]> {
    try {
      await this.#outages.through(async () => this.#finish(batch, await this.#write(batch)));
      return [];
    } catch (error) {
      if (isEnd(error)) throw error;
      return await this.#split(batch, error);
    }
  }

  async #split(batch: readonly Held[], error: unknown): Promise<Suspect[]> {
    this.#metrics.failed();
    const [held] = batch;
    if (batch.length === 1) return [{ held: held!, error }];
    const middle = batch.length >> 1;
    const first = await this.#deliverOrSplit(batch.slice(0, middle));
    return [...first, ...await this.#deliverOrSplit(batch.slice(middle))];
  }

  /** Ends the consumer where it must end, and tries later again where a batch can't be brought to any end. */
  async #giveUp(batch: readonly Held[], error: unknown): Promise<Passed> {
    if (error instanceof Stopping) return "ended";
    if (error instanceof InjectedCrash) {
      this.#intake.close();
      this.#intake.abandon();
      return "ended";
    }
    const { log } = this.#options;
    log.error({ err: error }, `The ${this.name} can neither handle nor move messages: ${messageOf(error)}`);
    await delay(NEXT_TRY_MS, this.#stopping.signal);
    this.#intake.giveBack(batch);
    return "astray";
  }

  async #moveToDeadLetters(suspects: readonly Suspect[]): Promise<void> {
    const { service, stream, log, seal, onDeadLetters } = this.#options;
    const attempts = this.#maxAttempts;
    const moved = await this.#outages.through(async () => {
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

function incomingOf(batch: readonly Held[]): Incoming[] {
  return batch.map(({ incoming }) => incoming);
}

/** Whether it ends the consumer, rather than tells of messages. */
function isEnd(error: unknown): boolean {
  return error instanceof Stopping || error instanceof InjectedCrash;
}
