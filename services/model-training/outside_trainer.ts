/** Training by a process outside the service, as shared/contracts/model_training/trainer.ts describes it. @module */
import type { Msg } from "nats";
import type { Bus } from "shared/bus/connection.ts";
import {
  type TrainerJob,
  type TrainerMessage,
  trainerMessageSchema,
} from "shared/contracts/model_training.ts";
import { subject } from "shared/contracts/streams.ts";
import { AppError, messageOf } from "shared/errors.ts";
import { parseWith } from "shared/validation.ts";
import type { StageProgress } from "./domain/run.ts";

export interface TrainerOptions {
  /** How long to wait for a trainer to be there. */
  waitSeconds: number;
  signal: AbortSignal;
  onProgress(progress: StageProgress): void;
}

export type TrainerAnswer = Extract<TrainerMessage, { onnx: string }>;

const NO_RESPONDERS = 503;
const ASK_AGAIN_MS = 500;

/**
 * Has a trainer do the job, and waits for its file. NATS may go away meanwhile: a trainer that has said nothing until it
 * is back is asked again, and one that repeats its last word until it is acknowledged is heard, also by the copy of the
 * service that has taken the run up from another one.
 *
 * @throws {AppError} `unprocessable` when no trainer answers, the trainer says that it failed, says nothing for too long,
 * or what it says is not of the protocol; the signal's reason
 */
export async function askTrainer(bus: Bus, job: TrainerJob, options: TrainerOptions): Promise<TrainerAnswer> {
  const { signal, onProgress } = options;
  signal.throwIfAborted();
  const { promise, resolve, reject } = Promise.withResolvers<TrainerAnswer>();
  const abort = () => reject(signal.reason);
  signal.addEventListener("abort", abort);
  const silence = watchSilence(job, reject);
  const asking = startAsking(bus, { job, waitSeconds: options.waitSeconds }, reject);
  // Named by the run: whoever takes it up again also hears the trainer that was asked before.
  const subscription = bus.nc.subscribe(subject.trainerReply(job.run), {
    callback: (error, message) => {
      if (error !== null) return reject(error);
      silence.heard();
      if (message.headers?.code === NO_RESPONDERS) return asking.nobody();
      asking.heard();
      try {
        // Whatever it was: saying it again would not help.
        message.respond();
        const said = readMessage(job, message);
        if ("onnx" in said) return resolve(said);
        if ("error" in said) throw failed(job, `it failed: ${said.error}`);
        onProgress(toProgress(said));
      } catch (error) {
        reject(error);
      }
    },
  });
  try {
    asking.ask();
    return await promise;
  } finally {
    asking.end();
    subscription.unsubscribe();
    signal.removeEventListener("abort", abort);
    silence.end();
  }
}

/** Asks until a trainer has been heard: again after a pause when there is none, and when NATS is back. */
function startAsking(
  bus: Bus,
  { job, waitSeconds }: { job: TrainerJob; waitSeconds: number },
  onNobody: (error: AppError) => void,
) {
  const deadline = () => performance.now() + waitSeconds * 1_000;
  let waitsUntil = deadline();
  let heard = false;
  let pause: ReturnType<typeof setTimeout> | undefined;
  const ask = () =>
    bus.nc.publish(subject.trainer(job.algorithm), JSON.stringify(job), {
      reply: subject.trainerReply(job.run),
    });
  const stopWatching = bus.onReconnect(() => {
    if (heard) return;
    // The trainer has to come back too.
    waitsUntil = deadline();
    clearTimeout(pause);
    ask();
  });
  return {
    ask,
    heard(): void {
      heard = true;
    },
    nobody(): void {
      if (heard) return;
      if (performance.now() < waitsUntil) pause = setTimeout(ask, ASK_AGAIN_MS);
      else {
        const reason = `it is no algorithm of the service, and no trainer answers ` +
          `${subject.trainer(job.algorithm)} within ${waitSeconds} s`;
        onNobody(new AppError("unprocessable", `Cannot train with "${job.algorithm}": ${reason}`));
      }
    },
    end(): void {
      clearTimeout(pause);
      stopWatching();
    },
  };
}

function watchSilence(job: TrainerJob, onSilence: (error: AppError) => void) {
  const start = () =>
    setTimeout(
      () => onSilence(failed(job, `it has said nothing for ${job.silenceSeconds} s, and is taken for dead`)),
      job.silenceSeconds * 1_000,
    );
  let timer = start();
  return {
    heard(): void {
      clearTimeout(timer);
      timer = start();
    },
    end: () => clearTimeout(timer),
  };
}

function readMessage(job: TrainerJob, message: Msg): TrainerMessage {
  let said: unknown;
  try {
    said = message.json();
  } catch (error) {
    throw failed(job, `it said what is not JSON: ${messageOf(error)}`);
  }
  return parseWith(trainerMessageSchema, said, `understand the trainer of "${job.algorithm}"`);
}

function toProgress(said: Exclude<TrainerMessage, { onnx: string } | { error: string }>): StageProgress {
  if ("log" in said) return { lines: [said.log] };
  const { round, rounds, metrics } = said.progress;
  const points = Object.entries(metrics).map(([name, value]) => ({ name, step: Math.round(round), value }));
  return { share: round / rounds, round, rounds, points };
}

const failed = (job: TrainerJob, reason: string) =>
  new AppError("unprocessable", `Cannot train with the trainer of "${job.algorithm}": ${reason}`);
