/** Training by a process outside the service, as shared/contracts/model_training/trainer.ts describes it. @module */
import { createInbox, type Msg } from "nats";
import type { Bus } from "shared/bus/connection.ts";
import {
  type TrainerJob,
  type TrainerMessage,
  trainerMessageSchema,
} from "shared/contracts/model_training.ts";
import { subject } from "shared/contracts/streams.ts";
import { delay } from "shared/delay.ts";
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
 * Has a trainer do the job, and waits for its file.
 *
 * @throws {AppError} `unprocessable` when no trainer answers, the trainer says that it failed, says nothing for too long,
 * or what it says is not of the protocol; the signal's reason
 */
export async function askTrainer(bus: Bus, job: TrainerJob, options: TrainerOptions): Promise<TrainerAnswer> {
  const { waitSeconds, signal } = options;
  const waitsUntil = performance.now() + waitSeconds * 1_000;
  for (;;) {
    signal.throwIfAborted();
    const answer = await askOnce(bus, job, options);
    if (answer !== "nobody") return answer;
    if (performance.now() >= waitsUntil) {
      throw new AppError(
        "unprocessable",
        `Cannot train with "${job.algorithm}": it is no algorithm of the service, and no trainer answers ` +
          `${subject.trainer(job.algorithm)} within ${waitSeconds} s`,
      );
    }
    await delay(ASK_AGAIN_MS, signal);
  }
}

async function askOnce(
  bus: Bus,
  job: TrainerJob,
  options: TrainerOptions,
): Promise<TrainerAnswer | "nobody"> {
  const { signal, onProgress } = options;
  const { promise, resolve, reject } = Promise.withResolvers<TrainerAnswer | "nobody">();
  const silence = watchSilence(job, reject);
  const abort = () => reject(signal.reason);
  signal.addEventListener("abort", abort);
  const inbox = createInbox();
  const subscription = bus.nc.subscribe(inbox, {
    callback: (error, message) => {
      if (error !== null) return reject(error);
      if (message.headers?.code === NO_RESPONDERS) return resolve("nobody");
      silence.heard();
      try {
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
    bus.nc.publish(subject.trainer(job.algorithm), JSON.stringify(job), { reply: inbox });
    return await promise;
  } finally {
    subscription.unsubscribe();
    signal.removeEventListener("abort", abort);
    silence.end();
  }
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
