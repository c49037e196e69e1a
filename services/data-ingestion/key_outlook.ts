/** A guess at whether the ids of the next events are new. @module */

/** For so many batches after one with an id that was taken, others are expected to hold one too. */
const CAREFUL_BATCHES = 20;

/**
 * Whether the ids of the next events are likely to be new. To insert them as if they were costs PostgreSQL a third
 * less, and all of it again where one was not: a stream of repeats must not pay that for every batch.
 */
export class KeyOutlook {
  #careful = 0;

  get looksNew(): boolean {
    return this.#careful === 0;
  }

  /** @param taken whether an id of a batch was taken */
  note(taken: boolean): void {
    this.#careful = taken ? CAREFUL_BATCHES : Math.max(0, this.#careful - 1);
  }
}
