/** Waiting for the infrastructure, as consumers do: for as long as it takes, and saying so. @module */
import { delay } from "../delay.ts";
import { messageOf } from "../errors.ts";
import { isInfrastructureError } from "../infrastructure_error.ts";
import type { Logger } from "../log.ts";
import type { Bus } from "./connection.ts";

/** Thrown through the work in hand when its owner must end before it could be done. */
export class Stopping extends Error {}

export interface OutageOptions {
  /** Who waits, for the log. */
  name: string;
  log: Logger;
  /** Ends the waiting. */
  signal: AbortSignal;
  /** Told when a pause begins and when it is over. */
  onPause(is: boolean): void;
}

const FIRST_PAUSE_MS = 250;
const MAX_PAUSE_MS = 10_000;

export class Outages {
  readonly #bus: Bus;
  readonly #options: OutageOptions;
  /** Several works may wait at a time: it is one pause. */
  #waiting = 0;
  #pausedAt = 0;

  constructor(bus: Bus, options: OutageOptions) {
    this.#bus = bus;
    this.#options = options;
  }

  /**
   * Does the work again, after growing pauses, until the infrastructure lets it come to its own end.
   *
   * @throws {Stopping} when the signal is aborted, or the connection closed, before it has
   */
  async through<T>(work: () => Promise<T>): Promise<T> {
    const { signal } = this.#options;
    let pauses = 0;
    try {
      while (true) {
        try {
          return await work();
        } catch (error) {
          if (!isInfrastructureError(error)) throw error;
          if (signal.aborted || this.#bus.nc.isClosed()) throw new Stopping();
          if (pauses === 0) this.#begin(error);
          await delay(Math.min(FIRST_PAUSE_MS * 2 ** pauses++, MAX_PAUSE_MS), signal);
          if (signal.aborted) throw new Stopping();
        }
      }
    } finally {
      if (pauses > 0) this.#end();
    }
  }

  #begin(error: unknown): void {
    if (this.#waiting++ > 0) return;
    const { name, log, onPause } = this.#options;
    this.#pausedAt = performance.now();
    log.warn({ reason: messageOf(error) }, `The ${name} pauses: ${messageOf(error)}`);
    onPause(true);
  }

  #end(): void {
    if (--this.#waiting > 0) return;
    const { name, log, signal, onPause } = this.#options;
    onPause(false);
    const seconds = ((performance.now() - this.#pausedAt) / 1_000).toFixed(1);
    if (!signal.aborted) log.info(`The ${name} goes on after ${seconds} s`);
  }
}
