/** One training run from its features to its version. @module */
import type { Bus } from "shared/bus/connection.ts";
import type { RunEvent } from "shared/contracts/model_training.ts";
import { type Database, type Transaction, transaction } from "shared/db/connection.ts";
import type { Logger } from "shared/log.ts";
import { type PatienceOptions, patiently } from "shared/patience.ts";
import type { Lineage } from "./domain/registry.ts";
import { type LeasedRun, nameOf, type StageProgress, type WorkStage } from "./domain/run.ts";
import { registerVersion } from "./registry.ts";
import { appendEvent, keepArtifact } from "./repository/run_records.ts";
import { completeRun, holdRun, setTrainingSet } from "./repository/runs.ts";
import { keepModelFile } from "./repository/versions.ts";
import { publishRunEvent } from "./run_events.ts";
import type { TrainedModel, TrainingProgress, TrainingTask } from "./model_task.ts";
import { type OutsideOptions, trainOutside } from "./train_outside.ts";
import { TRAINERS } from "./domain/trainers/registry.ts";
import { requestTrainingSet } from "./training_set_request.ts";
import { callWorker } from "shared/worker_call.ts";

export interface PerformDeps {
  db: Database;
  bus: Bus;
  log: Logger;
  /** Most threads that a fit works with. */
  threads: number;
  /** For algorithms that the service has no trainer for. */
  outside: OutsideOptions;
  /** Tells the outbox that something waits. */
  poke(): void;
}

export interface PerformOptions extends PatienceOptions {
  /** Told how far the run is. */
  tell(stage: WorkStage, progress: StageProgress): void;
  /** Writes what has been told so far. */
  flush(): Promise<void>;
}

/** The run was cancelled, or is another copy's: nothing of it may be written any more. */
export class LeaseLost extends Error {
  constructor({ id }: LeasedRun) {
    super(`Cannot go on with the run ${id}: it was cancelled, or its lease is another's`);
  }
}

/**
 * Trains and registers. Everything before the last transaction may be done again from the start; in it the version,
 * its announcement and the end of the run are one.
 *
 * @throws {AppError} why nothing could be learnt; {@link LeaseLost}; the signal's reason
 */
export async function performRun(deps: PerformDeps, run: LeasedRun, options: PerformOptions): Promise<void> {
  const { db, bus, log, poke, outside } = deps;
  const { tell } = options;
  const startedAt = performance.now();
  tell("features", { share: 0 });
  const trainingSet = await requestTrainingSet(bus, run, {
    ...options,
    onProgress: (share) => tell("features", { share }),
  });
  const file = await patiently(() => bus.files.get(trainingSet.sha256), options);
  await patiently(() => setTrainingSet(db, run, trainingSet.sha256), options);
  const { rows, sha256 } = trainingSet;
  tell("fit", { share: 0, lines: [`Got the training set ${sha256} of ${rows} rows`] });
  log.info({ run: run.id, trainingSet: sha256, rows }, "Got the training set");

  const task: TrainingTask = { file, trainingSet, spec: run.spec, threads: deps.threads };
  const trained = TRAINERS.has(run.spec.algorithm)
    ? await train(task, options)
    : await trainOutside(bus, { run, task }, outside, options);

  tell("register", { share: 0, lines: linesOf(trained) });
  await options.flush();
  options.signal.throwIfAborted();
  const event = await finish(deps, { run, trainingSet, trained }, options);
  publishRunEvent(deps, event);
  poke();
  const { facts, largestDifference, evaluation } = trained;
  log.info({
    run: run.id,
    model: nameOf(run),
    version: event.version,
    metric: evaluation.metric,
    value: evaluation.model[evaluation.metric],
    baseline: evaluation.baseline[evaluation.metric],
    facts,
    largestDifference,
    ms: Math.round(performance.now() - startedAt),
  }, "Trained a version");
}

function train(task: TrainingTask, { signal, tell }: PerformOptions): Promise<TrainedModel> {
  return callWorker<TrainingTask, TrainedModel, TrainingProgress>(
    new URL("./train_worker.ts", import.meta.url),
    task,
    {
      // It may be large, and nobody needs it here any more. The file store gives no shared memory.
      transfer: [task.file.buffer as ArrayBuffer],
      onProgress: ({ stage, ...progress }) => tell(stage, progress),
      signal,
    },
  );
}

function linesOf({ evaluation, facts, largestDifference, hints }: TrainedModel): string[] {
  const { metric, rows, model, baseline } = evaluation;
  return [
    ...Object.entries(facts).map(([name, value]) => `${name}: ${value}`),
    `${metric} ${model[metric]} on ${rows} rows it has not seen, the trivial baseline ${baseline[metric]}`,
    `The ONNX file answers like the trainer, to ${largestDifference.toExponential(1)} x max(1, |answer|)`,
    ...hints.map(({ message }) => `Hint: ${message}`),
  ];
}

interface Finished {
  run: LeasedRun;
  trainingSet: Lineage["trainingSet"];
  trained: TrainedModel;
}

async function finish(
  { db, bus }: PerformDeps,
  finished: Finished,
  options: PerformOptions,
): Promise<RunEvent> {
  const { run, trained } = finished;
  // Before it is announced: who is told of a version finds its file.
  const { sha256, isNew: owned } = await patiently(() => bus.files.add(trained.onnx), options);
  return await patiently(() =>
    transaction(db, async (tx) => {
      if (!await holdRun(tx, run)) throw new LeaseLost(run);
      const version = run.model === null
        ? null
        : await register(tx, { ...finished, model: run.model, sha256 });
      await keepModelFile(tx, sha256, trained.onnx);
      await keepArtifact(tx, run.id, {
        name: "model.onnx",
        sha256,
        bytes: trained.onnx.length,
        mediaType: "application/onnx",
        owned,
      });
      const { evaluation, trials, parameters, facts, environment } = trained;
      await completeRun(tx, run.id, {
        version,
        evaluation,
        trials,
        parameters,
        environment: environment ?? {},
        results: { ...facts, ...evaluation.model },
      });
      return await appendEvent(tx, run.id);
    }), options);
}

function register(
  tx: Transaction,
  { run, model, trainingSet, trained, sha256 }: Finished & { model: string; sha256: string },
): Promise<number> {
  const { onnx, signature, graph, evaluation, referenceBins, curves, hints, inputExample } = trained;
  return registerVersion(tx, {
    model,
    project: run.project,
    run: run.id,
    origin: "trained",
    algorithm: run.spec.algorithm,
    definition: run.definition,
    sha256,
    onnx,
    signature,
    graph,
    trainingSet: trainingSet.sha256,
    lineage: { trainingSet },
    trainUntil: evaluation.trainUntil,
    horizon: run.spec.label.within,
    evaluation,
    curves,
    hints,
    referenceBins,
    inputExample,
    tags: run.tags,
    notes: "",
    actor: run.actor,
  });
}
