/** Building the training sets that wait, one after the other, beside the other copies of the service. @module */
import type { FileStore } from "shared/bus/files.ts";
import { AppError, messageOf } from "shared/errors.ts";
import { isInfrastructureError } from "shared/infrastructure_error.ts";
import type { Part } from "shared/lifecycle.ts";
import type { Logger } from "shared/log.ts";
import { createPace } from "./pace.ts";
import {
  finishTrainingSet,
  type LeasedTrainingSet,
  leaseTrainingSet,
  releaseTrainingSet,
  renewLease,
} from "./repository/training_sets.ts";
import { type BuilderDeps, buildTrainingSet } from "./training_set_builder.ts";

export interface WorkerDeps extends BuilderDeps {
  files: FileStore;
  log: Logger;
}

export interface WorkerOptions {
  /** How long after the last word of its builder another copy may take over a training set. */
  leaseSeconds: number;
}

/** A training set whose builders died this often is given up: it may be what they died of. */
const MAX_ATTEMPTS = 3;
/** How often to look for work that another copy was asked for, and to try again when the database is away. */
const POLL_MS = 1_000;
/** The share of the work that is done when all records are read; the file is then written and stored. */
const READ_SHARE = 0.9;

/** `poke()` after a training set was asked for; without it the worker looks once a second. */
export function createTrainingSetWorker(
  deps: WorkerDeps,
  options: WorkerOptions,
): Part & { poke(): void } {
  const worker = new TrainingSetWorker(deps, options);
  return {
    name: "training set builder",
    start: () => worker.start(),
    stop: () => worker.stop(),
    poke: () => worker.poke(),
  };
}

class TrainingSetWorker {
  readonly #deps: WorkerDeps;
  readonly #leaseSeconds: number;
  readonly #stopping = new AbortController();
  #running: Promise<void> = Promise.resolve();
  #poked = false;
  #wake = () => {};

  constructor(deps: WorkerDeps, { leaseSeconds }: WorkerOptions) {
    this.#deps = deps;
    this.#leaseSeconds = leaseSeconds;
  }

  start(): Promise<void> {
    this.#running = this.#run();
    return Promise.resolve();
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    this.#wake();
    await this.#running;
  }

  poke(): void {
    this.#poked = true;
    this.#wake();
  }

  async #run(): Promise<void> {
    const { db, log } = this.#deps;
    while (!this.#stopping.signal.aborted) {
      try {
        this.#poked = false;
        const job = await leaseTrainingSet(db, { leaseSeconds: this.#leaseSeconds });
        if (job !== undefined) await this.#build(job);
        else await this.#rest();
      } catch (error) {
        if (this.#stopping.signal.aborted) return;
        log.warn({ reason: messageOf(error) }, "Cannot look for training sets to build: trying again");
        await this.#rest();
      }
    }
  }

  async #build(job: LeasedTrainingSet): Promise<void> {
    const { db, files, log } = this.#deps;
    if (job.attempts > MAX_ATTEMPTS) {
      const error = `Cannot build the training set: ${MAX_ATTEMPTS} builders ended while they worked on it`;
      return await this.#insist(() => finishTrainingSet(db, job, { error }));
    }
    const startedAt = performance.now();
    try {
      const { file, result } = await buildTrainingSet(this.#deps, job.request, {
        pace: createPace(this.#stopping.signal),
        onProgress: this.#renewals(job),
      });
      const sha256 = await this.#insist(() => files.put(file));
      await this.#insist(() => finishTrainingSet(db, job, { result: { sha256, ...result } }));
      const { rows, immature, bytes } = result;
      const ms = Math.round(performance.now() - startedAt);
      log.info({ trainingSet: job.id, rows, immature, bytes, ms }, "Built a training set");
    } catch (error) {
      await this.#afterFailure(job, error);
    }
  }

  /** Keeps the lease while the work goes on, at a quarter of its length. */
  #renewals(job: LeasedTrainingSet): (share: number) => Promise<void> {
    let renewedAt = performance.now();
    return async (share) => {
      if (performance.now() - renewedAt < Math.min(this.#leaseSeconds * 250, POLL_MS)) return;
      renewedAt = performance.now();
      const ours = await renewLease(this.#deps.db, job, {
        leaseSeconds: this.#leaseSeconds,
        progress: share * READ_SHARE,
      });
      if (!ours) throw new LeaseLost(job);
    };
  }

  async #afterFailure(job: LeasedTrainingSet, error: unknown): Promise<void> {
    const { db, log } = this.#deps;
    if (error instanceof LeaseLost) {
      log.warn({ trainingSet: job.id }, error.message);
    } else if (this.#stopping.signal.aborted || isInfrastructureError(error)) {
      log.info({ trainingSet: job.id, reason: messageOf(error) }, "Gives a training set back");
      await this.#insist(() => releaseTrainingSet(db, job));
      await this.#rest();
    } else {
      log.error({ trainingSet: job.id, err: error }, "A training set failed");
      const known = error instanceof AppError;
      const message = known ? error.message : "Cannot build the training set: an internal error";
      await this.#insist(() => finishTrainingSet(db, job, { error: message }));
    }
  }

  /** Tries again for as long as the database or the bus is away: a training set is not built anew for that. */
  async #insist<T>(work: () => Promise<T>): Promise<T> {
    while (true) {
      try {
        return await work();
      } catch (error) {
        if (this.#stopping.signal.aborted || !isInfrastructureError(error)) throw error;
        this.#deps.log.warn({ reason: messageOf(error) }, "Cannot keep a training set yet: trying again");
        await this.#rest();
      }
    }
  }

  /** Until the next poke, the next look, or the end. */
  async #rest(): Promise<void> {
    if (this.#stopping.signal.aborted || this.#poked) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#wake = resolve;
    const timer = setTimeout(resolve, POLL_MS);
    await promise;
    clearTimeout(timer);
  }
}

/** Another copy works on it now, or nobody is to. */
class LeaseLost extends Error {
  constructor({ id }: LeasedTrainingSet) {
    super(`Stops building the training set ${id}: its lease is another's`);
  }
}
