/** How far the CLEAN stream is applied. @module */
import type { Bus } from "shared/bus/connection.ts";
import { AppError } from "shared/errors.ts";
import type { Logger } from "shared/log.ts";

/** The floor is asked for at most this often, however many reads there are ... */
const FRESH_MS = 200;
/** ... and in the background, as long as the last one is not older than this. */
const OLDEST_MS = 1_000;
/** Between two looks of a read that waits for a position: longer and longer, until something is applied here. */
const FIRST_PAUSE_MS = 1;
const LONGEST_PAUSE_MS = 20;
/** A read does not wait longer for it: an older floor is as true, only lower. */
const PATIENCE_MS = 100;

export interface Position {
  /**
   * A stream sequence up to which everything was applied when the call was made.
   *
   * It is the acknowledgement floor of the durable consumer, which all copies of the service share: a message is
   * acknowledged after its records are committed, and the floor is the end of the unbroken run from the start.
   */
  read(): Promise<number>;
  /**
   * Waits until everything up to a sequence is applied.
   *
   * @throws {AppError} `timeout` when that takes longer
   */
  waitFor(sequence: number, options: { timeoutMs: number }): Promise<void>;
  /** Messages were applied here: who waits looks again, and soon. */
  applied(): void;
}

export function createPosition(
  bus: Bus,
  options: { stream: string; durable: string; log: Logger },
): Position {
  const { stream, durable, log } = options;
  let floor = 0;
  let readAt = -Infinity;
  let refreshing: Promise<void> | undefined;
  let next = Promise.withResolvers<void>();

  async function refresh(): Promise<void> {
    try {
      const info = await bus.jsm.consumers.info(stream, durable);
      floor = info.ack_floor.stream_seq;
    } catch (error) {
      log.debug({ err: error }, "Cannot read how far CLEAN is applied: the last known position stands");
    } finally {
      readAt = performance.now();
      refreshing = undefined;
    }
  }

  return {
    async read() {
      const age = performance.now() - readAt;
      if (age > FRESH_MS) refreshing ??= refresh();
      if (age > OLDEST_MS) await atMost(refreshing ?? Promise.resolve(), PATIENCE_MS);
      return floor;
    },
    async waitFor(sequence, { timeoutMs }) {
      const endsAt = performance.now() + timeoutMs;
      let pauseMs = FIRST_PAUSE_MS;
      while (floor < sequence) {
        const left = endsAt - performance.now();
        if (left <= 0) throw tooLate(sequence, { timeoutMs, floor });
        const appliedMore = next.promise.then(() => pauseMs = FIRST_PAUSE_MS);
        await atMost(refreshing ??= refresh(), left);
        if (floor >= sequence) return;
        await atMost(appliedMore, Math.min(pauseMs, left));
        pauseMs = Math.min(pauseMs * 1.5, LONGEST_PAUSE_MS);
      }
    },
    applied() {
      next.resolve();
      next = Promise.withResolvers();
    },
  };
}

function tooLate(sequence: number, { timeoutMs, floor }: { timeoutMs: number; floor: number }): AppError {
  return new AppError(
    "timeout",
    `Cannot read features at the position ${sequence} within ${timeoutMs} ms: CLEAN is applied up to ${floor}`,
  );
}

async function atMost(work: Promise<unknown>, ms: number): Promise<void> {
  const { promise: late, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, ms);
  try {
    await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}
