import type { Progress } from "shared/bus/consumer.ts";

/** How much has been seen of what was published. */
export interface Seen {
  /** By the wall: all that was published before. Undefined: not known yet. */
  untilMs: number | undefined;
  /** Whether nothing is left to be seen. */
  isAll: boolean;
}

/**
 * Until when all has been seen that was published. Where some source always has a message on its way, nobody ever finds
 * that nothing is left; so the end of the stream is marked now and then, and looked at again once it has been reached.
 */
export class SeenTime {
  #mark: { last: number; atMs: number } | undefined;
  #untilMs: number | undefined;

  /** @param nowMs by the wall, before it was asked how far the intake has come */
  look({ last, done }: Progress, nowMs: number): Seen {
    // A stream that is made anew counts from 1 again.
    if (this.#mark !== undefined && last < this.#mark.last) this.#mark = undefined;
    if (this.#mark !== undefined && done >= this.#mark.last) {
      this.#untilMs = this.#mark.atMs;
      this.#mark = undefined;
    }
    const isAll = done >= last;
    if (isAll) this.#untilMs = nowMs;
    else this.#mark ??= { last, atMs: nowMs };
    return { untilMs: this.#untilMs, isAll };
  }
}
