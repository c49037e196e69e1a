/** Waiting for a neighbour that is away. @module */
import { delay } from "./delay.ts";
import { messageOf } from "./errors.ts";
import { isInfrastructureError } from "./infrastructure_error.ts";

const FIRST_RETRY_MS = 100;
const MAX_RETRY_MS = 2_000;

export interface PatienceOptions {
  /** Ends the waiting; what is tried is tried once even so. */
  signal: AbortSignal;
  /** Told each time why there is no answer yet. */
  onWait(reason: string): void;
}

/**
 * Does something again and again while the bus, the database or a neighbour is away; `work` must be repeatable.
 *
 * @throws what is not of that kind; the signal's reason
 */
export async function patiently<T>(work: () => Promise<T>, options: PatienceOptions): Promise<T> {
  const { signal, onWait } = options;
  for (let failures = 0;; failures++) {
    try {
      return await work();
    } catch (error) {
      if (!isInfrastructureError(error)) throw error;
      onWait(messageOf(error));
    }
    await delay(Math.min(FIRST_RETRY_MS * 2 ** failures, MAX_RETRY_MS), signal);
    signal.throwIfAborted();
  }
}
