import type { Bus } from "shared/bus/connection.ts";
import type { MetricPoint, RunEvent } from "shared/contracts/model_training.ts";
import { subject } from "shared/contracts/streams.ts";
import { type Database, transaction } from "shared/db/connection.ts";
import { AppError, messageOf } from "shared/errors.ts";
import type { Logger } from "shared/log.ts";
import {
  type LeasedRun,
  nameOf,
  placeOf,
  type RunPlace,
  type StageProgress,
  type WorkStage,
} from "./domain/run.ts";
import { LeaseLost, type PerformOptions } from "./perform_run.ts";
import { appendEvent, type EventDetail, keepLines, keepMetrics } from "./repository/run_records.ts";
import { renewRun } from "./repository/runs.ts";
import { publishRunEvent } from "./run_events.ts";

export interface KeeperDeps {
  db: Database;
  bus: Bus;
  log: Logger;
}

export interface KeeperOptions {
  leaseSeconds: number;
  limitSeconds: number;
  /** Ends the run for this copy. */
  stopping: AbortSignal;
}

/** How often at most a run's progress is written. */
const WRITE_MS = 250;
/** Below this share of a stage its time says nothing of what is left. */
const LEAST_SHARE = 0.02;

/**
 * Keeps a run while it is worked on: renews its lease, writes and tells its progress, and ends the work when the run is
 * cancelled, the lease is lost, the attempt takes too long, or the service stops. To be ended.
 */
export class RunKeeper implements PerformOptions {
  readonly #deps: KeeperDeps;
  readonly #run: LeasedRun;
  readonly #options: KeeperOptions;
  readonly #ended = new AbortController();
  readonly #writeTimer: ReturnType<typeof setInterval>;
  readonly #limitTimer: ReturnType<typeof setTimeout>;
  readonly #cancellations: { unsubscribe(): void };
  /** Why the work must not go on, whichever comes first. */
  readonly signal: AbortSignal;
  #place: RunPlace = placeOf("features", 0);
  #share = 0;
  #stageBegan = performance.now();
  #detail: EventDetail = { round: null, rounds: null, metrics: {}, secondsLeft: null };
  #written: RunPlace | undefined;
  #writtenAt = performance.now();
  #writing: Promise<void> = Promise.resolve();
  #points: MetricPoint[] = [];
  #lines: string[] = [];
  #busy = false;
  #waitsFor: string | undefined;

  constructor(deps: KeeperDeps, run: LeasedRun, options: KeeperOptions) {
    this.#deps = deps;
    this.#run = run;
    this.#options = options;
    this.signal = AbortSignal.any([options.stopping, this.#ended.signal]);
    this.#writeTimer = setInterval(() => this.#write(), Math.min(WRITE_MS, options.leaseSeconds * 250));
    this.#limitTimer = setTimeout(() => this.#ended.abort(this.#tooLong()), options.limitSeconds * 1_000);
    // Whichever copy cancels a run: its own work ends at once, and not with the next renewal.
    this.#cancellations = deps.bus.nc.subscribe(subject.trainingRun(run.id), {
      callback: (_error, message) => {
        if (message.json<RunEvent>().status === "cancelled") this.#ended.abort(new LeaseLost(run));
      },
    });
  }

  readonly tell = (stage: WorkStage, progress: StageProgress): void => {
    const isNew = stage !== this.#place.stage;
    const { share = isNew ? 0 : this.#share, round, rounds, points = [], lines = [] } = progress;
    if (isNew) {
      this.#stageBegan = performance.now();
      this.#detail = { ...this.#detail, round: null, rounds: null };
    }
    this.#place = placeOf(stage, share);
    this.#share = share;
    this.#points.push(...points);
    this.#lines.push(...lines);
    this.#detail = {
      round: round ?? this.#detail.round,
      rounds: rounds ?? this.#detail.rounds,
      metrics: {
        ...this.#detail.metrics,
        ...Object.fromEntries(points.map(({ name, value }) => [name, value])),
      },
      secondsLeft: null,
    };
    this.#waitsFor = undefined;
  };

  readonly onWait = (reason: string): void => {
    if (this.#waitsFor !== reason) {
      this.#deps.log.warn({ run: this.#run.id, reason }, "A run waits for a neighbour");
      this.#lines.push(`Waits: ${reason}`);
    }
    this.#waitsFor = reason;
  };

  /** Writes what has been told so far. */
  async flush(): Promise<void> {
    await this.#writing;
    await this.#renew();
  }

  /** After it nothing more is written. */
  async end(): Promise<void> {
    clearInterval(this.#writeTimer);
    clearTimeout(this.#limitTimer);
    this.#cancellations.unsubscribe();
    await this.#writing;
  }

  #write(): void {
    const { stage, progress } = this.#place;
    const unchanged = stage === this.#written?.stage && progress === this.#written.progress &&
      this.#points.length === 0 && this.#lines.length === 0;
    const due = performance.now() - this.#writtenAt > this.#options.leaseSeconds * 250;
    if (this.#busy || (unchanged && !due)) return;
    this.#busy = true;
    this.#writing = this.#renew().finally(() => this.#busy = false);
  }

  async #renew(): Promise<void> {
    const { db, log } = this.#deps;
    const place = this.#place;
    const points = this.#points.splice(0);
    const lines = this.#lines.splice(0);
    try {
      const { leaseSeconds } = this.#options;
      const event = await transaction(db, async (tx) => {
        if (!await renewRun(tx, this.#run, { leaseSeconds, place })) return undefined;
        await keepMetrics(tx, this.#run.id, points);
        await keepLines(tx, this.#run.id, lines);
        return await appendEvent(tx, this.#run.id, { ...this.#detail, secondsLeft: this.#secondsLeft() });
      });
      if (event === undefined) return this.#ended.abort(new LeaseLost(this.#run));
      publishRunEvent(this.#deps, event);
      this.#written = place;
      this.#writtenAt = performance.now();
    } catch (error) {
      // What was not written comes before what has been told since.
      this.#points.unshift(...points);
      this.#lines.unshift(...lines);
      log.warn({ run: this.#run.id, reason: messageOf(error) }, "Cannot renew a run's lease: trying again");
    }
  }

  /** Of the present stage, if it goes on as it has gone. */
  #secondsLeft(): number | null {
    if (this.#share < LEAST_SHARE) return null;
    const seconds = (performance.now() - this.#stageBegan) / 1_000;
    return Math.max(0, seconds * (1 - this.#share) / this.#share);
  }

  #tooLong(): AppError {
    const { limitSeconds } = this.#options;
    const waits = this.#waitsFor === undefined ? "" : `, waiting: ${this.#waitsFor}`;
    return new AppError(
      "unprocessable",
      `Cannot train ${nameOf(this.#run)}: the attempt took longer than ${limitSeconds} s, ` +
        `it was at the stage ${this.#place.stage}${waits}`,
    );
  }
}
