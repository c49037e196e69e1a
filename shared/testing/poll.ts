/** Waiting in tests: for a condition, never for a time. @module */

export interface PollOptions {
  /** Default 20 s. */
  timeoutMs?: number;
}

const INTERVAL_MS = 15;

type Falsy = false | null | 0 | "";

/**
 * Calls `check` again and again until it does not throw and gives something true, and resolves with that.
 * `undefined` counts as true, so that a check may be nothing but assertions.
 *
 * @throws what `check` threw last, when the time is over
 */
export async function eventually<T>(
  check: () => Promise<T> | T,
  options: PollOptions = {},
): Promise<Exclude<T, Falsy>> {
  const { timeoutMs = 20_000 } = options;
  const deadline = performance.now() + timeoutMs;
  while (true) {
    let failure: unknown;
    try {
      const result = await check();
      if (result === undefined || result) return result as Exclude<T, Falsy>;
      failure = new Error(`The condition still gives ${JSON.stringify(result)} after ${timeoutMs / 1_000} s`);
    } catch (error) {
      failure = error;
    }
    if (performance.now() > deadline) throw failure;
    await new Promise((resolve) => setTimeout(resolve, INTERVAL_MS));
  }
}
