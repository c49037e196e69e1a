/** How fast a service drains a stream, by what it has stored. @module */
import { delay } from "shared/delay.ts";

const POLL_MS = 10;

/**
 * Waits until `events` more are stored than `before`. Timed from the first that are seen to the last, so that the start
 * of the process does not count.
 *
 * @returns events per second
 */
export async function drainRate(
  stored: () => Promise<number>,
  { before, events }: { before: number; events: number },
): Promise<number> {
  let first: { at: number; count: number } | undefined;
  while (true) {
    const count = await stored() - before;
    const at = performance.now();
    if (count > 0) first ??= { at, count };
    if (first !== undefined && count >= events) {
      // All of it in the first commit: only a tiny run is so short.
      const counted = count > first.count ? count - first.count : count;
      return counted / Math.max(at - first.at, POLL_MS) * 1_000;
    }
    await delay(POLL_MS);
  }
}
