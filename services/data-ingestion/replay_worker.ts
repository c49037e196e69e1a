/** Runs the replays that wait, beside the other copies of the service. @module */
import { InjectedCrash } from "shared/bus/crash.ts";
import { messageOf } from "shared/errors.ts";
import type { Part } from "shared/lifecycle.ts";
import { createPeriodicPart, type PeriodicPart } from "shared/periodic_part.ts";
import { type ReplayRunDeps, type ReplayRunOptions, runReplay } from "./replay_run.ts";
import { type ClaimedReplay, claimReplay, finishReplay, releaseReplay } from "./repository/replays.ts";

export interface ReplayWorkerOptions {
  /** How long after its last word another copy may take over a replay. Default 15 s. */
  leaseMs?: number;
}

export interface ReplayWorker extends Part {
  /** Looks for replays at once; without it, once a second. */
  poke(): void;
  /** Ends the run of a replay that was cancelled, if it is run here. */
  end(run: string): void;
}

const LEASE_MS = 15_000;
const POLL_MS = 1_000;
/** Replays that a copy runs side by side. Each has a connection to the database of its own. */
const MAX_AT_ONCE = 4;

export function createReplayWorker(deps: ReplayRunDeps, options: ReplayWorkerOptions = {}): ReplayWorker {
  return new LeasingReplayWorker(deps, options);
}

/** The run of a replay, from a claim to its end or to the claim's. */
interface Running {
  run: string;
  ending: AbortController;
  done: Promise<void>;
}

class LeasingReplayWorker implements ReplayWorker {
  readonly name = "replays";
  readonly #deps: ReplayRunDeps;
  readonly #leaseMs: number;
  readonly #running = new Set<Running>();
  readonly #looks: PeriodicPart;

  constructor(deps: ReplayRunDeps, { leaseMs = LEASE_MS }: ReplayWorkerOptions) {
    this.#deps = deps;
    this.#leaseMs = leaseMs;
    this.#looks = createPeriodicPart({
      name: this.name,
      action: "look for replays to run",
      everyMs: POLL_MS,
      log: deps.log,
      work: (signal) => this.#takeAll(signal),
    });
  }

  start(): Promise<void> {
    return this.#looks.start();
  }

  async stop(): Promise<void> {
    await this.#looks.stop();
    for (const { ending } of this.#running) ending.abort();
    await Promise.all([...this.#running].map(({ done }) => done));
  }

  poke(): void {
    this.#looks.poke();
  }

  end(run: string): void {
    for (const running of this.#running) if (running.run === run) running.ending.abort();
  }

  async #takeAll(signal: AbortSignal): Promise<void> {
    const { db } = this.#deps;
    while (!signal.aborted && this.#running.size < MAX_AT_ONCE) {
      // One for each claim: a copy that was suspended may take up again what it still believes to run.
      const lease = { owner: crypto.randomUUID(), leaseMs: this.#leaseMs };
      const replay = await claimReplay(db, lease);
      if (replay === undefined) return;
      const ending = new AbortController();
      const { run } = replay;
      const done = this.#run(replay, { lease: { ...lease, run }, signal: ending.signal });
      const running: Running = { run, ending, done };
      this.#running.add(running);
      void done.then(() => {
        this.#running.delete(running);
        this.poke();
      });
    }
  }

  /** Never rejects. */
  async #run(replay: ClaimedReplay, options: ReplayRunOptions): Promise<void> {
    const { db, log } = this.#deps;
    const { run, source } = replay;
    const { lease } = options;
    log.info({ run, source, position: replay.position }, "Running a replay");
    try {
      const outcome = await this.#outcomeOf(replay, options);
      if (outcome === "crashed") return;
      if (outcome === "unfinished") await releaseReplay(db, lease);
      else await finishReplay(db, lease, outcome);
      log.info({ run, source, outcome }, "Left a replay");
    } catch (error) {
      // It stays claimed until its time is over; then this copy or another one goes on.
      log.warn({ err: error, run }, `Cannot write down the end of a replay: ${messageOf(error)}`);
    }
  }

  async #outcomeOf(
    replay: ClaimedReplay,
    options: ReplayRunOptions,
  ): Promise<{ state: "done" | "failed"; reason: string | null } | "unfinished" | "crashed"> {
    try {
      const isDone = await runReplay(this.#deps, replay, options);
      return isDone ? { state: "done", reason: null } : "unfinished";
    } catch (error) {
      if (error instanceof InjectedCrash) return "crashed";
      this.#deps.log.error({ err: error, run: replay.run }, `A replay failed: ${messageOf(error)}`);
      return { state: "failed", reason: messageOf(error) };
    }
  }
}
