import { type AppError, unavailable } from "shared/errors.ts";

/** What a stream of records takes: chunks that are packed and published, and what they are made of. */
export const STREAM_BYTES = 8 * 1024 * 1024;
/** What a Parquet file takes: a range of rows, and the column that is read for it. */
export const PARQUET_BYTES = 64 * 1024 * 1024;

const RETRY_AFTER_S = 2;

/** What of something is being used: bytes that are read, requests that wait. Bounds it by refusing what comes beyond. */
export class Capacity {
  readonly #limit: number;
  #used = 0;

  constructor(limit: number) {
    this.#limit = limit;
  }

  /**
   * Takes a part, until it is disposed of. Whatever its size, one fits where nothing else is used.
   *
   * @throws what `refusal` makes, when there is no room
   */
  take(amount: number, refusal: () => AppError): Disposable {
    if (this.#used > 0 && this.#used + amount > this.#limit) throw refusal();
    this.#used += amount;
    let taken = amount;
    return {
      [Symbol.dispose]: () => {
        this.#used -= taken;
        taken = 0;
      },
    };
  }
}

/** @throws {AppError} `unavailable` when too many bodies are in memory */
export function reserveBytes(capacity: Capacity, bytes: number): Disposable {
  return capacity.take(
    bytes,
    () =>
      unavailable("Cannot take events: as much as fits into memory is being read", {
        retryAfter: RETRY_AFTER_S,
      }),
  );
}
