/** One training run from its features to its version. @module */
import type { Bus } from "shared/bus/connection.ts";
import { type Database, transaction } from "shared/db/connection.ts";
import type { Logger } from "shared/log.ts";
import type { Lineage } from "./domain/registry.ts";
import type { LeasedRun, WorkStage } from "./domain/run.ts";
import { type PatienceOptions, patiently } from "shared/patience.ts";
import { registerVersion } from "./registry.ts";
import { completeRun, holdRun, setTrainingSet } from "./repository/runs.ts";
import type { TrainedModel, TrainingProgress, TrainingTask } from "./train_model.ts";
import { requestTrainingSet } from "./training_set_request.ts";
import { callWorker } from "./worker_call.ts";

export interface PerformDeps {
  db: Database;
  bus: Bus;
  log: Logger;
  /** Tells the outbox that something waits. */
  poke(): void;
}

export interface PerformOptions extends PatienceOptions {
  /** Told how far the run is: `share` of the stage, between 0 and 1. */
  tell(stage: WorkStage, share: number): void;
}

/** The run has another copy's lease, or none: nothing of it may be written any more. */
export class LeaseLost extends Error {
  constructor({ id }: LeasedRun) {
    super(`Cannot go on with the run ${id}: its lease is another's`);
  }
}

/**
 * Trains and registers. Everything before the last transaction may be done again from the start; in it the version,
 * its announcement and the end of the run are one.
 *
 * @returns the number of the version
 * @throws {AppError} why nothing could be learnt; {@link LeaseLost}; the signal's reason
 */
export async function performRun(
  deps: PerformDeps,
  run: LeasedRun,
  options: PerformOptions,
): Promise<number> {
  const { db, bus, log, poke } = deps;
  const { tell } = options;
  const startedAt = performance.now();
  tell("features", 0);
  const trainingSet = await requestTrainingSet(bus, run, {
    ...options,
    onProgress: (share) => tell("features", share),
  });
  const file = await patiently(() => bus.files.get(trainingSet.sha256), options);
  await patiently(() => setTrainingSet(db, run, trainingSet.sha256), options);
  log.info({ run: run.id, trainingSet: trainingSet.sha256, rows: trainingSet.rows }, "Got the training set");

  const trained = await train({ file, trainingSet, spec: run.spec }, options);

  tell("register", 0);
  const version = await register(deps, { run, trainingSet, trained }, options);
  poke();
  const { facts, largestDifference, evaluation } = trained;
  log.info({
    run: run.id,
    model: run.model,
    version,
    metric: evaluation.metric,
    value: evaluation.model[evaluation.metric],
    baseline: evaluation.baseline[evaluation.metric],
    facts,
    largestDifference,
    ms: Math.round(performance.now() - startedAt),
  }, "Trained a version");
  return version;
}

function train(task: TrainingTask, { signal, tell }: PerformOptions): Promise<TrainedModel> {
  return callWorker<TrainingTask, TrainedModel, TrainingProgress>(
    new URL("./train_worker.ts", import.meta.url),
    task,
    {
      // It may be large, and nobody needs it here any more. The file store gives no shared memory.
      transfer: [task.file.buffer as ArrayBuffer],
      onProgress: ({ stage, share }) => tell(stage, share),
      signal,
    },
  );
}

async function register(
  { db, bus }: PerformDeps,
  { run, trainingSet, trained }: {
    run: LeasedRun;
    trainingSet: Lineage["trainingSet"];
    trained: TrainedModel;
  },
  options: PerformOptions,
): Promise<number> {
  const { onnx, signature, evaluation, referenceBins } = trained;
  // Before it is announced: who is told of a version finds its file.
  const sha256 = await patiently(() => bus.files.put(onnx), options);
  return await patiently(() =>
    transaction(db, async (tx) => {
      if (!await holdRun(tx, run)) throw new LeaseLost(run);
      const version = await registerVersion(tx, {
        model: run.model,
        project: run.project,
        run: run.id,
        definition: run.definition,
        sha256,
        onnx,
        signature,
        trainingSet: trainingSet.sha256,
        lineage: { trainingSet },
        evaluation,
        referenceBins,
        actor: run.actor,
      });
      await completeRun(tx, run, { version, evaluation });
      return version;
    }), options);
}
