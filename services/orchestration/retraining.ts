/**
 * The steps of a retraining, each safe to repeat: calls carry idempotency keys made from the run's id, so a step that is
 * run again after a crash finds what it did before.
 *
 * @module
 */
import type { Bus } from "shared/bus/connection.ts";
import { delay } from "shared/delay.ts";
import { call } from "shared/bus/endpoints.ts";
import { servedModels } from "shared/contracts/model_serving.ts";
import {
  compareVersions,
  getRun,
  rollbackAlias,
  setAlias,
  startRun,
} from "shared/contracts/model_training.ts";
import type { PipelineRun } from "shared/contracts/orchestration.ts";
import { AppError } from "shared/errors.ts";
import { type PatienceOptions, patiently } from "shared/patience.ts";

export interface TrainResult {
  run: string;
  version: number;
}

export interface CompareResult {
  comparison: string;
  passed: boolean;
  champion: number | null;
  metric: string;
  rows: number;
  candidateValue: number | null;
  championValue: number | null;
  baselineValue: number | null;
  gain: number | null;
  reasons: readonly string[];
}

export interface Retraining {
  train(run: PipelineRun): Promise<TrainResult>;
  compare(run: PipelineRun, candidate: number): Promise<CompareResult>;
  promote(
    run: PipelineRun,
    compared: CompareResult,
    candidate: number,
  ): Promise<{ alias: string; revision: number }>;
  /**
   * Waits until the version answers. One that serving says it can't serve is rolled back.
   *
   * @returns served false when nothing serves the model's alias
   * @throws {AppError} `conflict` when it was rolled back
   */
  confirm(run: PipelineRun, version: number): Promise<{ served: boolean }>;
}

const ALIAS = "champion";
const ACTOR = "orchestration";
const POLL_MS = 250;
const TRAIN_LIMIT_MS = 6 * 3_600_000;
const CONFIRM_LIMIT_MS = 120_000;
const CALL_LIMIT_MS = 60_000;
/** Serving that says for so long that it can't take a version has not only lost a neighbour for a moment. */
const REFUSAL_MS = 3_000;

export function createRetraining(bus: Bus, stopped: AbortSignal): Retraining {
  const mutation = (run: PipelineRun, step: string) => ({
    actor: ACTOR,
    idempotencyKey: `${run.id}/${step}`,
  });

  return {
    async train(run) {
      const reason = `${run.trigger.kind} ${run.trigger.reference}`;
      const { id } = await answered(() =>
        call(bus, startRun, { model: run.model, reason }, mutation(run, "train"))
      );
      return await awaited(TRAIN_LIMIT_MS, async () => {
        const training = await call(bus, getRun, { id });
        if (training.status === "failed" || training.status === "cancelled") {
          throw new AppError(
            "conflict",
            `Cannot retrain ${run.model}: the run ${id} ${training.status}: ${training.error}`,
          );
        }
        return training.version === null ? undefined : { run: id, version: training.version };
      });
    },
    async compare(run, candidate) {
      const { id: comparison, ...compared } = await answered(() =>
        call(bus, compareVersions, { model: run.model, candidate, against: ALIAS }, {
          ...mutation(run, "compare"),
          timeoutMs: CALL_LIMIT_MS,
        })
      );
      return { comparison, ...compared };
    },
    async promote(run, compared, candidate) {
      const { revision } = await answered(() =>
        call(bus, setAlias, {
          model: run.model,
          alias: ALIAS,
          version: candidate,
          // What it was judged against: whoever came meanwhile, the gate has not compared it with.
          replaces: compared.champion,
          reason: `pipeline ${run.pipeline}: ${compared.reasons.join("; ")}`,
          evidence: compared.comparison,
        }, mutation(run, "promote"))
      );
      return { alias: ALIAS, revision };
    },
    confirm(run, version) {
      let failedSince: number | undefined;
      return awaited(CONFIRM_LIMIT_MS, async () => {
        const { models } = await call(bus, servedModels, {});
        const served = models.find(({ model, alias }) => model === run.model && alias === ALIAS);
        if (!served) return { served: false };
        if (served.version === version) return { served: true };
        if (served.state !== "failed") failedSince = undefined;
        else failedSince ??= performance.now();
        if (failedSince === undefined || performance.now() - failedSince < REFUSAL_MS) return undefined;
        return await rollBack(run, version, served.error ?? "it does not say why");
      });
    },
  };

  async function rollBack(run: PipelineRun, version: number, error: string): Promise<never> {
    const reason = `pipeline ${run.pipeline}: version ${version} can't be served: ${error}`;
    const wish = { model: run.model, alias: ALIAS, replaces: version, reason, evidence: run.id };
    const back = await answered(() => call(bus, rollbackAlias, wish, mutation(run, "roll back")));
    const where = back.version === null ? "nothing, as before" : `version ${back.version} again`;
    throw new AppError(
      "conflict",
      `Cannot promote version ${version} of ${run.model}: it can't be served: ${error}; ${ALIAS} points to ${where}`,
    );
  }

  /** The answer to a call; a neighbour that is away is waited for. */
  function answered<T>(ask: () => Promise<T>): Promise<T> {
    return within(CALL_LIMIT_MS, (options) => patiently(ask, options));
  }

  /** Asks until the answer is there. */
  function awaited<T>(limitMs: number, ask: () => Promise<T | undefined>): Promise<T> {
    return within(limitMs, async (options) => {
      while (true) {
        const answer = await patiently(ask, options);
        if (answer !== undefined) return answer;
        options.onWait("it is not done yet");
        await delay(POLL_MS, options.signal);
        options.signal.throwIfAborted();
      }
    });
  }

  /** Bounds the waiting, and tells in the end what was waited for. */
  async function within<T>(limitMs: number, wait: (options: PatienceOptions) => Promise<T>): Promise<T> {
    const limit = AbortSignal.timeout(limitMs);
    let reason = "there was no answer";
    try {
      return await wait({ signal: AbortSignal.any([stopped, limit]), onWait: (why) => reason = why });
    } catch (error) {
      if (!limit.aborted) throw error;
      throw new AppError("timeout", `Cannot go on with the pipeline: after ${limitMs / 1000} s, ${reason}`, {
        cause: error,
      });
    }
  }
}
