/**
 * Runs pipelines as durable workflows: after a crash a run goes on at the step it was in.
 *
 * DBOS keeps which steps are done, in the service's own database (schema `dbos`), and is one a process. It recovers the
 * workflows of its executor, so exactly one copy of the service executes: the leader, which holds an advisory lock.
 *
 * @module
 */
import { DBOS, DBOSWorkflowConflictError } from "@dbos-inc/dbos-sdk";
import pg from "pg";
import type { PipelineRun } from "shared/contracts/orchestration.ts";
import { toInstant } from "shared/contracts/time.ts";
import { parseDatabaseUrl } from "shared/db/address.ts";
import type { Database } from "shared/db/connection.ts";
import { messageOf } from "shared/errors.ts";
import { isInfrastructureError } from "shared/infrastructure_error.ts";
import type { Part } from "shared/lifecycle.ts";
import type { Logger } from "shared/log.ts";
import { endedSteps, type Step, type StepName, withStep } from "./domain.ts";
import { endRun, findRun, listRunning, saveSteps } from "./repository.ts";
import type { Retraining } from "./retraining.ts";

export interface RunnerDeps {
  db: Database;
  databaseUrl: string;
  log: Logger;
  /** Made for one leadership; the signal ends its waiting. */
  retraining: (stopped: AbortSignal) => Retraining;
  /** Called as this copy becomes the leader, and as it ceases to be. */
  onLeadership: (leads: boolean) => void;
}

export interface Runner extends Part {
  /** Takes up runs that wait, at once; without it the leader looks every second. */
  wake(): void;
}

/** Of the advisory lock that the leader holds. */
const LEADER_LOCK = 0x6c65_6164;
const LOOK_MS = 1_000;

/** One time of leading, from the lock to its end. */
interface Leadership {
  db: Database;
  log: Logger;
  retraining: Retraining;
  ended: AbortSignal;
}

/** The leadership now. Module state because DBOS is one a process and takes its workflows before its launch. */
let current: Leadership | undefined;

const workflow = DBOS.registerWorkflow(retrain, { name: "retrain" });

/** Train, compare, promote if the gate passed, wait until the new version answers. */
async function retrain(id: string): Promise<void> {
  const leadership = current!;
  const { step, end } = durableSteps(leadership, id);
  try {
    const trained = await step("train", (run) => leadership.retraining.train(run));
    const compared = await step("compare", (run) => leadership.retraining.compare(run, trained.version));
    if (compared.passed) {
      await step("promote", (run) => leadership.retraining.promote(run, compared, trained.version));
      await step("confirm", (run) => leadership.retraining.confirm(run, trained.version));
    }
    await end(compared.passed ? "promoted" : "kept", null);
  } catch (error) {
    // Another executor has the workflow: DBOS wants to hear that itself.
    if (error instanceof DBOSWorkflowConflictError) throw error;
    await unlessEnded(leadership, () => end("failed", messageOf(error)));
  }
}

/**
 * The end of a leadership is no failure: DBOS would keep the error of a step that it ends as the step's outcome. So
 * nothing begins or ends once the leadership ended; the workflow stays pending, and the next leader goes on with it.
 */
function unlessEnded<T>({ ended }: Leadership, work: () => Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    if (ended.aborted) return;
    work().then(
      (value) => ended.aborted || resolve(value),
      (error) => ended.aborted || reject(error),
    );
  });
}

const RETRIES = {
  retriesAllowed: true,
  maxAttempts: 20,
  intervalSeconds: 0.5,
  backoffRate: 1.5,
  shouldRetry: isInfrastructureError,
};

function durableSteps(leadership: Leadership, id: string) {
  const { db, log } = leadership;
  return {
    /** A durable step, shown in the run as it goes. */
    step<T extends object>(name: StepName, work: (run: PipelineRun) => Promise<T>): Promise<T> {
      const shown = async () => {
        const run = (await findRun(db, id))!;
        const show = (change: Partial<Step>) => saveSteps(db, id, withStep(run.steps, name, change));
        const startedAt = toInstant(Date.now());
        await show({ status: "running", startedAt });
        const result = await work(run);
        await show({
          status: "done",
          startedAt,
          finishedAt: toInstant(Date.now()),
          result: Object.fromEntries(Object.entries(result)),
        });
        return result;
      };
      return DBOS.runStep(() => unlessEnded(leadership, shown), { name, ...RETRIES });
    },
    end(status: "promoted" | "kept" | "failed", error: string | null): Promise<void> {
      const kept = async () => {
        const run = (await findRun(db, id))!;
        const at = toInstant(Date.now());
        await endRun(db, id, { status, error, steps: endedSteps(run.steps, at), at });
        log.info({ run: id, pipeline: run.pipeline, status, error }, "a pipeline run ended");
      };
      return DBOS.runStep(() => unlessEnded(leadership, kept), { name: "end", ...RETRIES });
    },
  };
}

export function createRunner(deps: RunnerDeps): Runner {
  const { db, log } = deps;
  const stop = new AbortController();
  let wakeUp: () => void = () => {};
  let loop: Promise<void> = Promise.resolve();

  /** Tries to lead, leads as long as the lock is held, and again. */
  async function run(): Promise<void> {
    while (!stop.signal.aborted) {
      try {
        await tryToLead();
      } catch (error) {
        log.warn(`Cannot run pipelines for now: ${messageOf(error)}`);
      }
      await pause();
    }
  }

  /** The lock is held by a connection of its own, and with it lost. */
  async function tryToLead(): Promise<void> {
    const connection = new pg.Client(connectionOf(deps));
    const lost = new AbortController();
    connection.on("error", (error: Error) => lost.abort(error));
    await connection.connect();
    try {
      const { rows } = await connection.query<{ leads: boolean }>(
        "select pg_try_advisory_lock($1) as leads",
        [LEADER_LOCK],
      );
      if (rows[0]?.leads) await lead(AbortSignal.any([stop.signal, lost.signal]));
    } finally {
      await connection.end();
    }
  }

  async function lead(until: AbortSignal): Promise<void> {
    const over = new AbortController();
    const ended = AbortSignal.any([until, over.signal]);
    current = { db, log, retraining: deps.retraining(ended), ended };
    const pool = workflowPool(deps);
    try {
      await launch(deps, pool);
      log.info("this copy runs the pipelines");
      deps.onLeadership(true);
      while (!until.aborted) {
        for (const id of await listRunning(db)) await DBOS.startWorkflow(workflow, { workflowID: id })(id);
        await pause();
      }
    } finally {
      deps.onLeadership(false);
      // Also where the database failed rather than the lock: no step may wait on for a leader that is none any more.
      over.abort();
      await DBOS.shutdown().finally(() => pool.end());
    }
  }

  /** Until it is woken, or a second. */
  function pause(): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, stop.signal.aborted ? 0 : LOOK_MS);
      wakeUp = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  return {
    name: "pipeline runner",
    start() {
      loop = run();
      return Promise.resolve();
    },
    wake: () => wakeUp(),
    async stop() {
      stop.abort();
      wakeUp();
      await loop;
    },
  };
}

const connectionOf = ({ databaseUrl }: RunnerDeps) => ({
  ...parseDatabaseUrl(databaseUrl),
  connectionTimeoutMillis: 5_000,
});

function workflowPool(deps: RunnerDeps): pg.Pool {
  const pool = new pg.Pool({ ...connectionOf(deps), max: 4 });
  pool.on("error", (error: Error) => deps.log.warn(`A connection of the workflows failed: ${error.message}`));
  return pool;
}

async function launch({ log }: RunnerDeps, pool: pg.Pool): Promise<void> {
  DBOS.setConfig({
    name: "orchestration",
    systemDatabasePool: pool,
    // Every leader is the same executor with the same version, so that it takes up what the last one left.
    executorID: "leader",
    applicationVersion: "1",
    logger: {
      info: (entry: unknown) => log.debug(String(entry)),
      debug: (entry: unknown) => log.trace(String(entry)),
      warn: (entry: unknown) => log.warn(String(entry)),
      error: (entry: unknown) => log.error(String(entry)),
    },
  });
  await DBOS.launch();
}
