/** A part that does the same thing again and again, until the service stops. @module */
import { InjectedCrash } from "./bus/crash.ts";
import { delay } from "./delay.ts";
import { messageOf } from "./errors.ts";
import { isInfrastructureError } from "./infrastructure_error.ts";
import type { Part } from "./lifecycle.ts";
import type { Logger } from "./log.ts";

export interface PeriodicPartOptions {
  name: string;
  /** What can't be done when it fails, for the log: `relay the outbox`. */
  action: string;
  /** The pause after each time. */
  everyMs: number;
  /** Whether the first time comes after a pause too. Default: no. */
  pausesFirst?: boolean;
  log: Logger;
  /** @param signal is aborted when the service stops: what takes long ends early then */
  work(signal: AbortSignal): Promise<unknown>;
}

export interface PeriodicPart extends Part {
  /** Ends the pause. During the work it leads to another time at once. */
  poke(): void;
}

const FIRST_RETRY_MS = 250;
const MAX_RETRY_MS = 10_000;

/**
 * One time is never beside another, and `stop()` waits for the one in hand. What fails is tried again after a growing
 * delay, for ever, which no poke makes shorter.
 */
export function createPeriodicPart(options: PeriodicPartOptions): PeriodicPart {
  const { name, action, everyMs, pausesFirst = false, log, work } = options;
  const stopping = new AbortController();
  let alarm = new AbortController();
  let running: Promise<void> = Promise.resolve();

  return {
    name,
    start() {
      running = run();
      return Promise.resolve();
    },
    async stop() {
      stopping.abort();
      await running;
    },
    poke() {
      alarm.abort();
    },
  };

  async function run(): Promise<void> {
    const { signal } = stopping;
    if (pausesFirst) await pause();
    for (let failures = 0; !signal.aborted;) {
      // Before the work: a poke during it must lead to another time.
      alarm = new AbortController();
      try {
        await work(signal);
        if (failures > 0) log.info({ part: name, failures }, `Can ${action} again`);
        failures = 0;
        await pause();
      } catch (error) {
        if (signal.aborted || error instanceof InjectedCrash) return;
        const level = isInfrastructureError(error) ? "warn" : "error";
        log[level]({ err: error, failures }, `Cannot ${action}: ${messageOf(error)}`);
        const maxRetryMs = Math.max(MAX_RETRY_MS, everyMs);
        await delay(Math.min(FIRST_RETRY_MS * 2 ** failures++, maxRetryMs), signal);
      }
    }
  }

  async function pause(): Promise<void> {
    await delay(everyMs, AbortSignal.any([stopping.signal, alarm.signal]));
  }
}
