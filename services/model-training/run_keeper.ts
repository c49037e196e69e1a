import { AppError, messageOf } from "shared/errors.ts";
import type { Database } from "shared/db/connection.ts";
import type { Logger } from "shared/log.ts";
import { type LeasedRun, placeOf, type RunPlace, type WorkStage } from "./domain/run.ts";
import { LeaseLost, type PerformOptions } from "./perform_run.ts";
import { renewRun } from "./repository/runs.ts";

export interface KeeperOptions {
  leaseSeconds: number;
  limitSeconds: number;
  /** Ends the run for this copy. */
  stopping: AbortSignal;
}

/** How often at most a run's progress is written. */
const WRITE_MS = 250;

/**
 * Keeps a run while it is worked on: renews its lease, writes its progress, and ends the work when the lease is lost,
 * the attempt takes too long, or the service stops. To be ended.
 */
export class RunKeeper implements PerformOptions {
  readonly #deps: { db: Database; log: Logger };
  readonly #run: LeasedRun;
  readonly #options: KeeperOptions;
  readonly #ended = new AbortController();
  readonly #writeTimer: ReturnType<typeof setInterval>;
  readonly #limitTimer: ReturnType<typeof setTimeout>;
  /** Why the work must not go on, whichever comes first. */
  readonly signal: AbortSignal;
  #place: RunPlace = placeOf("features", 0);
  #written: RunPlace | undefined;
  #writtenAt = performance.now();
  #writing: Promise<void> = Promise.resolve();
  #busy = false;
  #waitsFor: string | undefined;

  constructor(deps: { db: Database; log: Logger }, run: LeasedRun, options: KeeperOptions) {
    this.#deps = deps;
    this.#run = run;
    this.#options = options;
    this.signal = AbortSignal.any([options.stopping, this.#ended.signal]);
    this.#writeTimer = setInterval(() => this.#write(), Math.min(WRITE_MS, options.leaseSeconds * 250));
    this.#limitTimer = setTimeout(() => this.#ended.abort(this.#tooLong()), options.limitSeconds * 1_000);
  }

  readonly tell = (stage: WorkStage, share: number): void => {
    this.#place = placeOf(stage, share);
    this.#waitsFor = undefined;
  };

  readonly onWait = (reason: string): void => {
    if (this.#waitsFor !== reason) {
      this.#deps.log.warn({ run: this.#run.id, reason }, "A run waits for a neighbour");
    }
    this.#waitsFor = reason;
  };

  /** After it nothing more is written. */
  async end(): Promise<void> {
    clearInterval(this.#writeTimer);
    clearTimeout(this.#limitTimer);
    await this.#writing;
  }

  #write(): void {
    const { stage, progress } = this.#place;
    const unchanged = stage === this.#written?.stage && progress === this.#written.progress;
    const due = performance.now() - this.#writtenAt > this.#options.leaseSeconds * 250;
    if (this.#busy || (unchanged && !due)) return;
    this.#busy = true;
    this.#writing = this.#renew(this.#place).finally(() => this.#busy = false);
  }

  async #renew(place: RunPlace): Promise<void> {
    const { db, log } = this.#deps;
    try {
      const { leaseSeconds } = this.#options;
      const ours = await renewRun(db, this.#run, { leaseSeconds, place });
      if (!ours) return this.#ended.abort(new LeaseLost(this.#run));
      this.#written = place;
      this.#writtenAt = performance.now();
    } catch (error) {
      log.warn({ run: this.#run.id, reason: messageOf(error) }, "Cannot renew a run's lease: trying again");
    }
  }

  #tooLong(): AppError {
    const { limitSeconds } = this.#options;
    const waits = this.#waitsFor === undefined ? "" : `, waiting: ${this.#waitsFor}`;
    return new AppError(
      "unprocessable",
      `Cannot train ${this.#run.model}: the attempt took longer than ${limitSeconds} s, ` +
        `it was at the stage ${this.#place.stage}${waits}`,
    );
  }
}
