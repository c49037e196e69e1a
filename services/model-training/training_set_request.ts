/** Asking the feature store for what a run learns from. @module */
import type { Bus } from "shared/bus/connection.ts";
import { delay } from "shared/delay.ts";
import { call } from "shared/bus/endpoints.ts";
import * as featureStore from "shared/contracts/feature_store.ts";
import { AppError } from "shared/errors.ts";
import type { Lineage } from "./domain/registry.ts";
import type { LeasedRun } from "./domain/run.ts";
import { type PatienceOptions, patiently } from "shared/patience.ts";

const FIRST_POLL_MS = 50;
const MAX_POLL_MS = 1_000;

export interface RequestOptions extends PatienceOptions {
  /** Told how far the feature store is, between 0 and 1. */
  onProgress(share: number): void;
}

/**
 * Has the training set of a run built and waits for it. Asked under a key made from the run's id: a run that is taken
 * up again finds the training set that was asked for before.
 *
 * @throws {AppError} `unprocessable` when the feature store could not build it; what the feature store refuses
 */
export async function requestTrainingSet(
  bus: Bus,
  run: LeasedRun,
  options: RequestOptions,
): Promise<Lineage["trainingSet"]> {
  const { entity, featureService, spine, label, observeFrom } = run.spec;
  const request = {
    project: run.project,
    entity,
    featureService: { name: featureService },
    spine,
    label,
    ...(observeFrom === undefined ? {} : { from: observeFrom }),
  };
  const { id } = await patiently(
    () =>
      call(bus, featureStore.buildTrainingSet, request, {
        actor: run.actor,
        idempotencyKey: `model-training/${run.id}`,
      }),
    options,
  );
  for (let waitMs = FIRST_POLL_MS;; waitMs = Math.min(waitMs * 2, MAX_POLL_MS)) {
    const { status, progress, error, result } = await patiently(
      () => call(bus, featureStore.getTrainingSet, { id }),
      options,
    );
    if (result !== null) return { id, ...result };
    if (status === "failed" || status === "cancelled") {
      throw new AppError(
        "unprocessable",
        `Cannot get the training set ${id}: the feature store says it ${status}: ${
          error ?? "no reason given"
        }`,
      );
    }
    options.onProgress(progress);
    await delay(waitMs, options.signal);
    options.signal.throwIfAborted();
  }
}
