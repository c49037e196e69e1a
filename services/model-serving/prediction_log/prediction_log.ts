/** The prediction log: every outcome goes to `predictions.<model>`, in batches, off the caller's path. @module */
import { encodeBatches } from "shared/bus/batch.ts";
import type { Bus } from "shared/bus/connection.ts";
import { publishAll } from "shared/bus/publisher.ts";
import { EVENT_TYPE, MAX_BATCH_EVENTS, type PlatformEvent } from "shared/contracts/envelope.ts";
import type { PredictionRecord } from "shared/contracts/model_serving.ts";
import { subject } from "shared/contracts/streams.ts";
import type { Instant } from "shared/contracts/time.ts";
import { delay } from "shared/delay.ts";
import { messageOf } from "shared/errors.ts";
import type { Part } from "shared/lifecycle.ts";
import type { Logger } from "shared/log.ts";

export interface LogEntry {
  id: string;
  /** T of the features, or when it was served. */
  at: Instant;
  traceparent: string | undefined;
  record: Omit<PredictionRecord, "instance" | "boot" | "sequence">;
}

export interface PredictionLog extends Part {
  append(entries: readonly LogEntry[]): void;
  /** Entries appended since the start, those that wait for JetStream, and those dropped because too many did. */
  counts(): { appended: number; waiting: number; dropped: number };
}

export interface PredictionLogOptions {
  instance: string;
  log: Logger;
  /** Entries kept while the bus is away; beyond it the oldest are dropped, which their sequence shows. */
  maxWaiting?: number;
}

const RETRY_MS = 500;
/** At the stop, how long the bus gets for what is on its way and what still waits; a publish takes a second more. */
const LAST_FLUSH_MS = 4_000;

export function createPredictionLog(bus: Bus, options: PredictionLogOptions): PredictionLog {
  const { instance, log, maxWaiting = 100_000 } = options;
  const boot = crypto.randomUUID();
  const sequences = new Map<string, number>();
  let waiting: PlatformEvent<PredictionRecord>[] = [];
  let appended = 0;
  let dropped = 0;
  let flushing: Promise<void> | undefined;
  let stopped = false;
  const lastFlushOver = new AbortController();

  function append(entries: readonly LogEntry[]): void {
    appended += entries.length;
    for (const { id, at, traceparent, record } of entries) {
      const sequence = sequences.get(record.model) ?? 0;
      sequences.set(record.model, sequence + 1);
      waiting.push({
        specversion: "1.0",
        id,
        source: record.model,
        type: EVENT_TYPE.prediction,
        time: at,
        knownat: record.servedAt,
        definition: record.version,
        ...(traceparent === undefined ? {} : { traceparent }),
        data: { ...record, instance, boot, sequence },
      });
    }
    const surplus = waiting.length - maxWaiting;
    if (surplus > 0) {
      waiting = waiting.slice(surplus);
      if (dropped === 0) {
        log.error({ maxWaiting }, "the prediction log is full: the oldest entries are dropped");
      }
      dropped += surplus;
    }
    flushing ??= flush();
  }

  /** Sends what waits, batch by batch; what comes meanwhile makes the next batches larger. */
  async function flush(): Promise<void> {
    // Lets the requests of this turn of the event loop share a batch.
    await delay(0);
    while (waiting.length > 0) {
      const batch = waiting.slice(0, MAX_BATCH_EVENTS);
      waiting = waiting.slice(MAX_BATCH_EVENTS);
      try {
        await publish(batch);
      } catch (error) {
        if (stopped) {
          log.error(
            { entries: batch.length + waiting.length },
            `Cannot log predictions: ${messageOf(error)}`,
          );
          break;
        }
        log.warn({ entries: batch.length }, `Cannot log predictions, trying again: ${messageOf(error)}`);
        waiting = [...batch, ...waiting];
        await delay(RETRY_MS);
      }
    }
    // In the same turn as the last look: an entry that comes from here on begins a new flush.
    flushing = undefined;
  }

  async function publish(batch: readonly PlatformEvent<PredictionRecord>[]): Promise<void> {
    const messages = [...Map.groupBy(batch, ({ source }) => source)].flatMap(([model, events]) =>
      encodeBatches(events, { subject: subject.predictions(model) })
    );
    await publishAll(bus, messages, { signal: lastFlushOver.signal });
  }

  return {
    name: "prediction log",
    append,
    counts: () => ({ appended, waiting: waiting.length, dropped }),
    start: () => Promise.resolve(),
    async stop() {
      stopped = true;
      const timer = setTimeout(() => lastFlushOver.abort(), LAST_FLUSH_MS);
      await flushing;
      clearTimeout(timer);
    },
  };
}
