/** A run of an algorithm that the service has no trainer for. @module */
import type { Bus } from "shared/bus/connection.ts";
import type { TrainerJob } from "shared/contracts/model_training.ts";
import { patiently } from "shared/patience.ts";
import type { LeasedRun } from "./domain/run.ts";
import type { TrainedModel, TrainingTask } from "./model_task.ts";
import type { OutsideWork } from "./outside_worker.ts";
import { askTrainer } from "./outside_trainer.ts";
import type { PerformOptions } from "./perform_run.ts";
import type { OutsideParts } from "./prepare_outside.ts";
import { callWorker } from "shared/worker_call.ts";

export interface OutsideOptions {
  /** How long to wait for a trainer to be there. */
  waitSeconds: number;
  /** A trainer that says nothing for this long is given up. */
  silenceSeconds: number;
  /** How long its file may take to be judged, which hostile ones could do for ever. */
  judgeSeconds: number;
  maxBytes: number;
}

const WORKER = new URL("./outside_worker.ts", import.meta.url);

/**
 * Gives the training part to a trainer and judges the file that comes back.
 *
 * @throws {AppError} what the trainer says, or why its file can't be used
 */
export async function trainOutside(
  bus: Bus,
  { run, task }: { run: LeasedRun; task: TrainingTask },
  outside: OutsideOptions,
  options: PerformOptions,
): Promise<TrainedModel> {
  const { signal, tell } = options;
  const parts = await callWorker<OutsideWork, OutsideParts>(WORKER, { prepare: task }, { signal });
  const { algorithm, parameters, seed } = run.spec;
  const { validation } = parts;
  const job: TrainerJob = {
    protocol: 1,
    run: run.id,
    model: run.model,
    algorithm,
    task: run.spec.task,
    trainingSet: await patiently(() => bus.files.put(parts.train), options),
    validationSet: validation && await patiently(() => bus.files.put(validation), options),
    features: [...parts.features],
    categories: [...parts.categories],
    rows: parts.rows,
    classes: parts.classes && [...parts.classes],
    parameters,
    seed,
    silenceSeconds: outside.silenceSeconds,
  };
  const { onnx: name, facts, environment } = await askTrainer(bus, job, {
    waitSeconds: outside.waitSeconds,
    signal,
    onProgress: (progress) => tell("fit", progress),
  });
  tell("evaluate", { share: 0, lines: [`The trainer of "${algorithm}" has made the file ${name}`] });
  const onnx = await patiently(() => bus.files.get(name, { maxBytes: outside.maxBytes }), options);
  const { maxBytes, judgeSeconds } = outside;
  return await callWorker<OutsideWork, TrainedModel>(
    WORKER,
    { judge: { ...task, onnx, facts, environment, maxBytes } },
    { signal, limitSeconds: judgeSeconds, action: `judge the file of the trainer of "${algorithm}"` },
  );
}
