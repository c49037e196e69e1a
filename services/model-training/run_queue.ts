/** Working on the runs that wait, a few at once, beside the other copies of the service. @module */
import { Counter, type Registry } from "prom-client";
import { AppError, messageOf } from "shared/errors.ts";
import type { Part } from "shared/lifecycle.ts";
import { type Queryable, transaction } from "shared/db/connection.ts";
import { type LeasedRun, nameOf } from "./domain/run.ts";
import { patiently } from "shared/patience.ts";
import { createPeriodicPart, type PeriodicPart } from "shared/periodic_part.ts";
import { LeaseLost, type PerformDeps, performRun } from "./perform_run.ts";
import { appendEvent } from "./repository/run_records.ts";
import { failRun, leaseRun, releaseRun } from "./repository/runs.ts";
import { publishRunEvent } from "./run_events.ts";
import { RunKeeper } from "./run_keeper.ts";

export interface QueueDeps extends PerformDeps {
  metrics: Registry;
}

export interface QueueOptions {
  /** Runs that this copy works on at once. */
  atOnce: number;
  /** How long after the last word of its copy another one may take over a run. */
  leaseSeconds: number;
  /** How long one attempt may take. */
  limitSeconds: number;
  /** What this copy runs in, kept with its runs. */
  environment: Readonly<Record<string, string>>;
}

/** A run whose copies ended this often is given up: it may be what they died of. */
const MAX_ATTEMPTS = 3;
/** How often to look for runs that another copy was asked for or left behind. */
const POLL_MS = 1_000;

/** `poke()` after a run was asked for; without it the queue looks once a second. */
export function createRunQueue(deps: QueueDeps, options: QueueOptions): Part & { poke(): void } {
  const queue = new RunQueue(deps, options);
  return {
    name: "run queue",
    start: () => queue.start(),
    stop: () => queue.stop(),
    poke: () => queue.poke(),
  };
}

/** Ends the work on a run that another copy, or this one when it is back, begins again. */
class Stopping extends Error {}

class RunQueue {
  readonly #deps: QueueDeps;
  readonly #options: QueueOptions;
  readonly #finished: Counter<"status">;
  readonly #stopping = new AbortController();
  readonly #active = new Set<Promise<void>>();
  readonly #looks: PeriodicPart;

  constructor(deps: QueueDeps, options: QueueOptions) {
    this.#deps = deps;
    this.#options = options;
    this.#finished = new Counter({
      name: "microml_training_runs_total",
      help: "Training runs that this copy brought to their end",
      labelNames: ["status"],
      registers: [deps.metrics],
    });
    this.#looks = createPeriodicPart({
      name: "run queue",
      action: "look for runs to train",
      everyMs: POLL_MS,
      log: deps.log,
      work: (signal) => this.#takeUp(signal),
    });
  }

  start(): Promise<void> {
    return this.#looks.start();
  }

  async stop(): Promise<void> {
    this.#stopping.abort(new Stopping());
    await this.#looks.stop();
    await Promise.all(this.#active);
  }

  poke(): void {
    this.#looks.poke();
  }

  async #takeUp(signal: AbortSignal): Promise<void> {
    while (this.#active.size < this.#options.atOnce && !signal.aborted) {
      const run = await leaseRun(this.#deps.db, this.#options);
      if (run === undefined) return;
      const work = this.#workOn(run).finally(() => {
        this.#active.delete(work);
        this.poke();
      });
      this.#active.add(work);
    }
  }

  async #workOn(run: LeasedRun): Promise<void> {
    const { log } = this.#deps;
    try {
      await this.#attempt(run);
    } catch (error) {
      // The lease runs out, and the run is taken up again.
      log.error({ err: error, run: run.id }, `Cannot end a run: ${messageOf(error)}`);
    }
  }

  async #attempt(run: LeasedRun): Promise<void> {
    if (run.attempts > MAX_ATTEMPTS) {
      const reason = `Cannot train ${
        nameOf(run)
      }: the service ended ${MAX_ATTEMPTS} times while it worked on the run`;
      return await this.#fail(run, reason);
    }
    const { limitSeconds, leaseSeconds } = this.#options;
    const keeper = new RunKeeper(this.#deps, run, {
      leaseSeconds,
      limitSeconds,
      stopping: this.#stopping.signal,
    });
    try {
      await performRun(this.#deps, run, keeper);
      this.#finished.inc({ status: "done" });
    } catch (error) {
      await this.#afterFailure(run, error);
    } finally {
      await keeper.end();
    }
  }

  async #afterFailure(run: LeasedRun, error: unknown): Promise<void> {
    const { log } = this.#deps;
    if (error instanceof LeaseLost) {
      log.warn({ run: run.id }, error.message);
    } else if (error instanceof Stopping) {
      log.info({ run: run.id }, "Gives a run back");
      await this.#change(run, (tx) => releaseRun(tx, run));
    } else if (error instanceof AppError && error.code !== "internal") {
      log.warn({ run: run.id, model: run.model, reason: error.message }, "A run failed");
      await this.#fail(run, error.message);
    } else {
      log.error({ run: run.id, model: run.model, err: error }, "A run failed");
      await this.#fail(run, `Cannot train ${nameOf(run)}: an internal error: ${messageOf(error)}`);
    }
  }

  /** A run that has failed must not be tried again only because the database was away. */
  async #fail(run: LeasedRun, reason: string): Promise<void> {
    const { log } = this.#deps;
    const ours = await patiently(() => this.#change(run, (tx) => failRun(tx, run, reason)), {
      signal: this.#stopping.signal,
      onWait: (waitsFor) => log.warn({ run: run.id, waitsFor }, "Waiting to end a run"),
    });
    if (ours) this.#finished.inc({ status: "failed" });
  }

  /** Changes the state of a run that is ours, and tells of it. */
  async #change(run: LeasedRun, change: (tx: Queryable) => Promise<boolean>): Promise<boolean> {
    const event = await transaction(
      this.#deps.db,
      async (tx) => await change(tx) ? await appendEvent(tx, run.id) : undefined,
    );
    if (event !== undefined) publishRunEvent(this.#deps, event);
    return event !== undefined;
  }
}
