/** The prediction log: every outcome goes to `predictions.<model>`, in batches, off the caller's path. @module */
import type { Bus } from "shared/bus/connection.ts";
import { type Outgoing, publishAll } from "shared/bus/publisher.ts";
import { CLOUDEVENTS_BATCH_TYPE, HEADER } from "shared/contracts/envelope.ts";
import { deploymentBodySchema, LOG_HEADER, type LogPolicy } from "shared/contracts/model_serving.ts";
import { subject } from "shared/contracts/streams.ts";
import { delay } from "shared/delay.ts";
import { AppError, messageOf, unavailable } from "shared/errors.ts";
import type { Part } from "shared/lifecycle.ts";
import type { Logger } from "shared/log.ts";
import { hashText } from "shared/statistics/hash.ts";
import type { LogOrigin } from "./block.ts";
import { toBytes } from "./json_bytes.ts";
import { type BufferPool, createLogQueue, type LogQueue, type TakenBlock } from "./log_queue.ts";
import { isAlwaysLogged, type LoggedCall, pickRows } from "./logged_call.ts";

export interface LogCounts {
  /** Records made since the start. */
  made: number;
  /** Of them: not yet acknowledged by JetStream ... */
  waiting: number;
  /** ... and lost, because too many waited or the server did not take them. Their sequence shows it. */
  dropped: number;
}

export interface PredictionLog extends Part {
  /** @throws {AppError} `unavailable` when the log is full and the deployment says that calls are refused then */
  checkRoom(model: string, rows: number): void;
  append(call: LoggedCall): void;
  counts(): LogCounts;
  /** Those of models that are not deployed together, as `none`. */
  countsByModel(): ReadonlyMap<string, LogCounts>;
}

export interface PredictionLogOptions {
  instance: string;
  log: Logger;
  /** What the deployment of a model declares; `undefined` for a model that is not deployed. */
  policyOf: (model: string) => LogPolicy | undefined;
  /** How often it says that it is still there, in ms; default 30,000. */
  tellEveryMs?: number;
}

/** How long records gather: a message costs as much as hundreds of records in it. */
const GATHER_MS = 20;
const RETRY_MS = 500;
/** Blocks that one publication takes of a model at most. */
const MAX_TAKEN = 8;
/** At the stop, how long the bus gets for what is on its way and what still waits; a publish takes a second more. */
const LAST_FLUSH_MS = 4_000;
/** Anybody may ask for models that are not there: beyond so many names, only those that are deployed are logged. */
const MAX_LANES = 1_000;
/** For models that are not deployed: what a deployment has that declares nothing. */
const DEFAULT_POLICY = deploymentBodySchema.parse({}).log;

/** What is logged of one model. */
interface Lane {
  origin: LogOrigin;
  queue: LogQueue;
  /** Lost besides what the queue dropped. */
  refused: number;
  /** The head that JetStream has of it. */
  told: number;
}

/** A message of a lane, on its way. */
interface Parcel {
  lane: Lane;
  message: Outgoing;
  head: number;
  /** Absent where it only says how far the boot is. */
  block?: TakenBlock;
}

export function createPredictionLog(bus: Bus, options: PredictionLogOptions): PredictionLog {
  const { instance, log, tellEveryMs = 30_000 } = options;
  const policyOf = (model: string) => options.policyOf(model) ?? DEFAULT_POLICY;
  const boot = crypto.randomUUID();
  const lanes = new Map<string, Lane>();
  const pool: BufferPool = [];
  let flushing: Promise<void> | undefined;
  let stopped = false;
  const stopSignal = new AbortController();
  const lastFlushOver = new AbortController();
  let telling: Promise<void> = Promise.resolve();

  function laneOf(model: string): Lane | undefined {
    let lane = lanes.get(model);
    if (lane === undefined && (lanes.size < MAX_LANES || options.policyOf(model) !== undefined)) {
      const origin = { model, instance, boot };
      const queue = createLogQueue({ origin, policy: () => policyOf(model), pool });
      lanes.set(model, lane = { origin, queue, refused: 0, told: 0 });
    }
    return lane;
  }

  function append(call: LoggedCall): void {
    const { model } = call;
    const lane = laneOf(model);
    const sampled = sampledOf(call, policyOf(model).sample);
    if (lane === undefined || sampled === undefined) return;
    const { dropped } = lane.queue;
    lane.queue.push(sampled);
    if (dropped === 0 && lane.queue.dropped > 0) {
      log.error({ model }, "The prediction log is full: records are dropped");
    }
    flushing ??= flush();
  }

  /** Sends what waits; what comes meanwhile makes the next messages larger. */
  async function flush(): Promise<void> {
    await delay(GATHER_MS, stopSignal.signal);
    while (true) {
      const parcels = [...lanes.values()].filter(({ queue }) => queue.waiting > 0).flatMap(takeFrom);
      if (parcels.length === 0) break;
      await settle(parcels);
      await delay(GATHER_MS, stopSignal.signal);
    }
    // In the same turn as the last look: a record that comes from here on begins a new flush.
    flushing = undefined;
  }

  async function settle(parcels: readonly Parcel[]): Promise<void> {
    const lost = new Set(await send(parcels));
    for (const parcel of parcels) {
      const { lane, head, block } = parcel;
      const sent = !lost.has(parcel);
      if (block !== undefined) lane.queue.settle(block, { sent });
      if (!sent) lane.refused += block?.records ?? 0;
      else lane.told = Math.max(lane.told, head);
    }
  }

  function takeFrom(lane: Lane): Parcel[] {
    const { origin, queue } = lane;
    return queue.take(MAX_TAKEN).map((block) => {
      const { head } = queue;
      const message = messageOfLog(origin, { id: `${block.sequence}`, head, data: block.bytes.view() });
      return { lane, message, head, block };
    });
  }

  /** Until JetStream has all that it ever will. @returns the rest */
  async function send(parcels: readonly Parcel[]): Promise<readonly Parcel[]> {
    const messages = parcels.map(({ message }) => message);
    while (true) {
      try {
        await publishAll(bus, messages, { signal: lastFlushOver.signal });
        return [];
      } catch (error) {
        const isRefused = error instanceof AppError && ["too_large", "unprocessable"].includes(error.code);
        // One that is refused takes no other with it.
        if (isRefused && parcels.length > 1) return await sendEach(parcels);
        if (stopped || isRefused) {
          log.error({ err: error, messages: messages.length }, `Cannot log predictions: ${messageOf(error)}`);
          return parcels;
        }
        log.warn({ messages: messages.length }, `Cannot log predictions, trying again: ${messageOf(error)}`);
        await delay(RETRY_MS, stopSignal.signal);
      }
    }
  }

  async function sendEach(parcels: readonly Parcel[]): Promise<readonly Parcel[]> {
    const lost: Parcel[] = [];
    for (const parcel of parcels) lost.push(...await send([parcel]));
    return lost;
  }

  /** Also when nobody asks anything: who reads the log can tell a process that is idle from one that is gone. */
  async function tellWhileItLives(): Promise<void> {
    for (let times = 0; !stopped; times++) {
      await delay(tellEveryMs, stopSignal.signal);
      if (stopped) break;
      // One model is enough to live by; of the others, those whose last records are on their way or were lost.
      const silent = [...lanes.values()].filter(({ queue, told }, index) => index === 0 || told < queue.head);
      const heads = silent.map((lane) => ({ lane, head: lane.queue.head }));
      try {
        const messages = heads.map(({ lane, head }) =>
          messageOfLog(lane.origin, { id: `tell-${times}`, head })
        );
        await publishAll(bus, messages, { signal: stopSignal.signal });
        for (const { lane, head } of heads) lane.told = Math.max(lane.told, head);
      } catch (error) {
        log.warn(`Cannot tell how far the prediction log is: ${messageOf(error)}`);
      }
    }
  }

  return {
    name: "prediction log",
    append,
    checkRoom(model, rows) {
      if (policyOf(model).whenFull !== "refuse" || laneOf(model)?.queue.isFull(rows) !== true) return;
      throw unavailable(`Cannot predict with "${model}": its log is full, and the bus does not take it`, {
        retryAfter: 5,
      });
    },
    counts: () => sumOf([...lanes.values()]),
    countsByModel() {
      // A name that a caller made up is no label: it could fill the memory of who reads the metrics.
      const groups = Map.groupBy(lanes, ([model]) => options.policyOf(model) === undefined ? "none" : model);
      return new Map([...groups].map(([model, of]) => [model, sumOf(of.map(([, lane]) => lane))]));
    },
    start() {
      telling = tellWhileItLives();
      return Promise.resolve();
    },
    async stop() {
      stopped = true;
      stopSignal.abort();
      await telling;
      const timer = setTimeout(() => lastFlushOver.abort(), LAST_FLUSH_MS);
      await flushing;
      await send([...lanes.values()].map((lane) => {
        const { origin, queue: { head } } = lane;
        const more = { [LOG_HEADER.closed]: "true" };
        return {
          lane,
          message: messageOfLog(origin, { id: `closed-${head}`, head, more }),
          head,
        };
      }));
      clearTimeout(timer);
    },
  };
}

const sumOf = (lanes: readonly Lane[]): LogCounts =>
  lanes.reduce((sum, { queue, refused }) => ({
    made: sum.made + queue.head,
    waiting: sum.waiting + queue.waiting,
    dropped: sum.dropped + queue.dropped + refused,
  }), { made: 0, waiting: 0, dropped: 0 });

/** One of no records says how far the boot is, and that it lives. */
const NO_RECORDS = toBytes("[]");

function messageOfLog(
  { model, instance, boot }: LogOrigin,
  { id, head, data = NO_RECORDS, more = {} }: {
    id: string;
    head: number;
    data?: Uint8Array;
    more?: Readonly<Record<string, string>>;
  },
): Outgoing {
  return {
    subject: subject.predictions(model),
    data,
    messageId: `${model}:${boot}:${id}`,
    headers: {
      [HEADER.contentType]: CLOUDEVENTS_BATCH_TYPE,
      [LOG_HEADER.instance]: instance,
      [LOG_HEADER.boot]: boot,
      [LOG_HEADER.head]: String(head),
      ...more,
    },
  };
}

/** What sampling leaves of a call; a shadow's answer is logged when the one that it belongs to is. */
function sampledOf(call: LoggedCall, sample: number): LoggedCall | undefined {
  if (sample >= 1 || isAlwaysLogged(call)) return call;
  const ids = call.shadowOf ?? call.ids;
  const rows = [...ids.keys()].filter((row) => hashText(ids[row]!) % 1_000_000 < sample * 1_000_000);
  if (rows.length === ids.length) return call;
  return rows.length === 0 ? undefined : pickRows(call, rows);
}
