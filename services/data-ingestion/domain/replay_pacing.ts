/** When the pieces of a replay may go. @module */

export interface PacingOptions {
  /** Most records a second; null: any number. */
  rate: number | null;
  /** So many times as fast as it happened; null: any speed. */
  pace: number | null;
}

/** A piece by what its turn depends on. */
export interface PacedPiece {
  records: number;
  /** Event time of its last record, milliseconds since 1970. */
  lastMs: number;
}

/** What a replay is behind by more than this, it does not make up for: it would go faster than was asked. */
const MAX_ARREARS_MS = 1_000;

/**
 * Tells for one piece after the other when it may go: so long after the one before as that one's records take at the
 * rate, and as the time between the two takes at the pace, whichever is longer. The first may go at once.
 */
export class Pacing {
  readonly #options: PacingOptions;
  #before: { dueMs: number; piece: PacedPiece } | undefined;

  constructor(options: PacingOptions) {
    this.#options = options;
  }

  /** @param nowMs on any clock that does not go back; so is what it returns */
  dueMs(piece: PacedPiece, nowMs: number): number {
    const { rate, pace } = this.#options;
    let dueMs = nowMs;
    if (this.#before !== undefined) {
      const { dueMs: beforeMs, piece: before } = this.#before;
      const byRate = rate === null ? 0 : before.records * 1_000 / rate;
      const byPace = pace === null ? 0 : (piece.lastMs - before.lastMs) / pace;
      dueMs = Math.max(beforeMs + Math.max(byRate, byPace), nowMs - MAX_ARREARS_MS);
    }
    this.#before = { dueMs, piece };
    return dueMs;
  }
}
