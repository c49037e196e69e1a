import type { Instant } from "shared/contracts/time.ts";

/** The demo's own count of the predictions it was given, to compare the prediction log with. */
export class PredictionTally {
  readonly #counts = new Map<string, number>();

  add({ version, at, count }: { version: number; at: Instant | null; count: number }): void {
    const key = keyOf(version, at);
    this.#counts.set(key, (this.#counts.get(key) ?? 0) + count);
  }

  /** Answered by this version, with the features of this time. */
  of(version: number, at: Instant): number {
    return this.#counts.get(keyOf(version, at)) ?? 0;
  }

  get total(): number {
    return [...this.#counts.values()].reduce((sum, count) => sum + count, 0);
  }
}

const keyOf = (version: number, at: Instant | null) => `${version} ${at}`;
