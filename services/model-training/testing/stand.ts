/** The service under test beside a feature store, and what its tests do with it. @module */
import { assert, assertEquals } from "@std/assert";
import type { Bus } from "shared/bus/connection.ts";
import {
  compareVersions,
  getRun,
  type ModelBody,
  modelBodySchema,
  putModel,
  type RunDetail,
  setAlias,
  startRun,
} from "shared/contracts/model_training.ts";
import { eventually } from "shared/testing/poll.ts";
import { startTestService, type TestService } from "shared/testing/service.ts";
import { createApp } from "../app.ts";
import { configSchema } from "../config.ts";
import { startTestFeatureStore, type TestFeatureStore } from "./feature_store.ts";
import { observe } from "./observations.ts";

/** Ticks of the history that most tests learn from. */
export const WEEKS = 20;

/** A body of the model; `changes` replace its fields as they stand. */
export const reorder = (changes: Record<string, unknown> = {}): ModelBody =>
  modelBodySchema.parse({
    task: "binary",
    entity: "customer",
    featureService: "reorder_features",
    spine: { source: "user_events", every: "P7D", activeWithin: "P60D" },
    label: { source: "user_events", aggregate: "exists", within: "P14D" },
    observeFrom: "2026-01-05T00:00:00.000Z",
    algorithm: "gbdt",
    parameters: { rounds: 40, learningRate: 0.1, maxLeaves: 8, minRowsPerLeaf: 20 },
    metric: "log_loss",
    split: { test: "P21D" },
    gate: { minRelativeGain: 0.02, minBaselineGain: 0.02, minRows: 100 },
    ...changes,
  });

/** The name of the model under test. */
export const model = "reorder";
/** A request that declares it. */
export const put = (body = reorder()) => ({ project: "shop", name: model, body });

/** The service alone. */
export const start = (options: { bus?: Bus; databaseUrl?: string; env?: Record<string, string> } = {}) =>
  startTestService("model-training", configSchema, createApp, options);

export interface Stand extends AsyncDisposable {
  service: TestService;
  features: TestFeatureStore;
}

/** The service beside a feature store, with the model declared. */
export async function startStand(options: { env?: Record<string, string> } = {}): Promise<Stand> {
  const service = await start(options);
  const features = await startTestFeatureStore(service.bus, observe({ weeks: WEEKS }));
  await service.call(putModel, put());
  return {
    service,
    features,
    async [Symbol.asyncDispose]() {
      await features[Symbol.asyncDispose]();
      await service.stop();
    },
  };
}

/** The run when it is done or has failed. */
export async function ended(service: TestService, id: string): Promise<RunDetail> {
  return await eventually(async () => {
    const run = await service.call(getRun, { id });
    assert(run.finishedAt !== null, `the run is still at ${run.stage}, ${run.progress}`);
    return run;
  }, { timeoutMs: 120_000 });
}

/** Trains a version and gives its number. */
export async function train(
  service: TestService,
  overrides: Partial<Parameters<typeof service.call<typeof startRun>>[1]> = {},
): Promise<number> {
  const { id } = await service.call(startRun, { model, ...overrides });
  const run = await ended(service, id);
  assertEquals(run.error, null);
  return run.version!;
}

export const compare = (service: TestService, candidate: number, idempotencyKey?: string) =>
  service.call(compareVersions, { model, candidate }, {
    timeoutMs: 60_000,
    ...(idempotencyKey === undefined ? {} : { idempotencyKey }),
  });

/** Points the alias `champion`. */
export const promote = (service: TestService, version: number, reason = "a test wants it") =>
  service.call(setAlias, { model, alias: "champion", version, reason, evidence: "none" }, { actor: "ada" });
