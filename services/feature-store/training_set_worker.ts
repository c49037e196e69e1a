/** Building the training sets that wait, one after the other, beside the other copies of the service. @module */
import type { FileStore } from "shared/bus/files.ts";
import type { Database } from "shared/db/connection.ts";
import { delay } from "shared/delay.ts";
import { AppError, messageOf } from "shared/errors.ts";
import { isInfrastructureError } from "shared/infrastructure_error.ts";
import type { Logger } from "shared/log.ts";
import { createPeriodicPart, type PeriodicPart } from "shared/periodic_part.ts";
import type { Position } from "./position.ts";
import {
  finishTrainingSet,
  type LeasedTrainingSet,
  leaseTrainingSet,
  releaseTrainingSet,
  renewLease,
} from "./repository/training_sets.ts";
import type { BuildingThread } from "./training_set_thread.ts";

export interface WorkerDeps {
  db: Database;
  files: Pick<FileStore, "put">;
  log: Logger;
  /** Builds in a thread of its own. */
  build: BuildingThread;
  /** How far CLEAN is applied. */
  position: Pick<Position, "read">;
}

export interface WorkerOptions {
  /** How long after the last word of its builder another copy may take over a training set. */
  leaseSeconds: number;
}

/** A training set whose builders died this often is given up: it may be what they died of. */
const MAX_ATTEMPTS = 3;
/** How often to look for work that another copy was asked for, and to try again when the database is away. */
const POLL_MS = 1_000;

/** `poke()` after a training set was asked for; without it the worker looks once a second. */
export function createTrainingSetWorker(
  deps: WorkerDeps,
  options: WorkerOptions,
): PeriodicPart {
  return createPeriodicPart({
    name: "training set builder",
    action: "build the training sets that wait",
    everyMs: POLL_MS,
    log: deps.log,
    work: (stopping) => new Builder(deps, { ...options, stopping }).buildWaiting(),
  });
}

class Builder {
  readonly #deps: WorkerDeps;
  readonly #leaseSeconds: number;
  readonly #stopping: AbortSignal;

  constructor(deps: WorkerDeps, { leaseSeconds, stopping }: WorkerOptions & { stopping: AbortSignal }) {
    this.#deps = deps;
    this.#leaseSeconds = leaseSeconds;
    this.#stopping = stopping;
  }

  async buildWaiting(): Promise<void> {
    while (!this.#stopping.aborted) {
      const job = await leaseTrainingSet(this.#deps.db, { leaseSeconds: this.#leaseSeconds });
      if (job === undefined) return;
      await this.#build(job);
    }
  }

  async #build(job: LeasedTrainingSet): Promise<void> {
    const { db, files, log } = this.#deps;
    if (job.attempts > MAX_ATTEMPTS) {
      const error = `Cannot build the training set: ${MAX_ATTEMPTS} builders ended while they worked on it`;
      return await this.#insist(() => finishTrainingSet(db, job, { error }));
    }
    const startedAt = performance.now();
    using lease = this.#keepLease(job);
    try {
      const position = await this.#deps.position.read();
      const { file, result, statistics } = await this.#deps.build(job.request, {
        signal: lease.signal,
        onProgress: lease.tell,
      });
      const sha256 = await this.#insist(() => files.put(file));
      const stored = { ...result, sha256, manifest: { ...result.manifest, position } };
      await this.#insist(() => finishTrainingSet(db, job, { result: stored, statistics }));
      const { rows, immature, bytes } = result;
      const ms = Math.round(performance.now() - startedAt);
      log.info({ trainingSet: job.id, rows, immature, bytes, ms }, "Built a training set");
    } catch (error) {
      await this.#afterFailure(job, error);
    }
  }

  /** Renews the lease while the work goes on, at a quarter of its length; the signal ends work that is no longer ours. */
  #keepLease(job: LeasedTrainingSet): Disposable & { signal: AbortSignal; tell(share: number): void } {
    const { db, log } = this.#deps;
    const leaseSeconds = this.#leaseSeconds;
    const lost = new AbortController();
    const done = new AbortController();
    let progress = 0;
    const renew = async () => {
      const everyMs = Math.min(leaseSeconds * 250, POLL_MS);
      for (;;) {
        await delay(everyMs, done.signal);
        if (done.signal.aborted) return;
        try {
          if (await renewLease(db, job, { leaseSeconds, progress })) continue;
          return lost.abort(new LeaseLost(job));
        } catch (error) {
          log.warn({ trainingSet: job.id, reason: messageOf(error) }, "Cannot renew a lease: trying again");
        }
      }
    };
    void renew();
    return {
      signal: AbortSignal.any([this.#stopping, lost.signal]),
      tell: (share) => progress = share,
      [Symbol.dispose]: () => done.abort(),
    };
  }

  async #afterFailure(job: LeasedTrainingSet, error: unknown): Promise<void> {
    const { db, log } = this.#deps;
    if (error instanceof LeaseLost) {
      log.warn({ trainingSet: job.id }, error.message);
    } else if (this.#stopping.aborted || isInfrastructureError(error)) {
      log.info({ trainingSet: job.id, reason: messageOf(error) }, "Gives a training set back");
      await this.#insist(() => releaseTrainingSet(db, job));
      await delay(POLL_MS, this.#stopping);
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
        if (this.#stopping.aborted || !isInfrastructureError(error)) throw error;
        this.#deps.log.warn({ reason: messageOf(error) }, "Cannot keep a training set yet: trying again");
        await delay(POLL_MS, this.#stopping);
      }
    }
  }
}

/** Another copy works on it now, or it was cancelled. */
class LeaseLost extends Error {
  constructor({ id }: LeasedTrainingSet) {
    super(`Stops building the training set ${id}: it was cancelled, or its lease is another's`);
  }
}
