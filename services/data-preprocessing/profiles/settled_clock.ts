import type { Instant } from "shared/contracts/time.ts";

/**
 * Clocks as they were some time ago, by the wall: when a clock has passed the end of a window, records of the window may
 * still be on their way through another copy.
 */
export class SettledClocks {
  readonly #settleMs: number;
  readonly #waiting = new Map<string, { clock: Instant; seenAt: number }[]>();
  readonly #settled = new Map<string, Instant>();

  constructor(settleMs: number) {
    this.#settleMs = settleMs;
  }

  /**
   * @param clock as it is now
   * @returns the newest clock of the project that has been known for long enough
   */
  settle(project: string, clock: Instant, nowMs: number): Instant | undefined {
    const waiting = this.#waiting.get(project) ?? [];
    this.#waiting.set(project, waiting);
    const newest = waiting.at(-1)?.clock ?? this.#settled.get(project) ?? "";
    if (clock > newest) waiting.push({ clock, seenAt: nowMs });
    while (waiting.length > 0 && nowMs - waiting[0]!.seenAt >= this.#settleMs) {
      this.#settled.set(project, waiting.shift()!.clock);
    }
    return this.#settled.get(project);
  }
}
