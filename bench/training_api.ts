/**
 * `training-api`: how long model-training's own API takes to answer while the service trains, beside how long it takes
 * while it does nothing else.
 *
 * @module
 */
import { call } from "shared/bus/endpoints.ts";
import * as training from "shared/contracts/model_training.ts";
import { delay } from "shared/delay.ts";
import { startTestFeatureStore } from "../services/model-training/testing/feature_store.ts";
import { observe } from "../services/model-training/testing/observations.ts";
import { startBenchStack } from "./bench_stack.ts";
import { type Bench, type BenchOptions, type BenchResult, inTurn } from "./harness.ts";

const REQUESTS = 3_000;
/** Callers that each wait for their answer before they ask again. */
const CALLERS = 4;
/** By how much the p99 may grow. */
const FACTOR = 5;
const MODEL = "reorder";

export const trainingApi: Bench = {
  name: "training-api",
  summary: "p99 of model-training's API while it trains, beside five times that while it is idle",
  run,
};

async function run({ rounds, scale, say }: BenchOptions): Promise<BenchResult> {
  await using bench = await startBenchStack(["model-training"], { say });
  const { bus, stack } = bench;
  await using _features = await startTestFeatureStore(bus, observe({ weeks: 104, customers: 2_000 }));
  const { url } = stack.services.get("model-training")!;
  await call(bus, training.putModel, { project: "bench", name: MODEL, body });
  // Something to list, and to read.
  const listed: string[] = [];
  for (let count = 0; count < 50; count++) {
    const { id } = await call(bus, training.createRun, {
      project: "bench",
      model: MODEL,
      parameters: { count },
    });
    await call(bus, training.logRun, { id, results: { auc: count / 50 }, tags: { bench: "yes" } });
    listed.push(id);
  }
  const requests = Math.max(200, Math.round(REQUESTS * scale));
  const measure = () => latencies(url, listed, requests);

  const { idle, busy } = await inTurn({
    idle: measure,
    busy: async () => {
      const id = await startTraining(bench);
      const measured = await measure();
      const { status, stage } = await call(bus, training.getRun, { id });
      if (status !== "running" || stage !== "fit") {
        throw new Error(`The training was ${status} at ${stage} before the measurement was over`);
      }
      await call(bus, training.cancelRun, { id });
      return measured;
    },
  }, { rounds, say });
  return {
    ratios: { idle_p99_times_5: FACTOR * idle!["p99_ms"]! / busy!["p99_ms"]! },
    figures: {
      idle_p50_ms: idle!["p50_ms"]!,
      idle_p99_ms: idle!["p99_ms"]!,
      busy_p50_ms: busy!["p50_ms"]!,
      busy_p99_ms: busy!["p99_ms"]!,
    },
    notes: [
      `${requests} requests by ${CALLERS} callers: lists of 20 runs and single runs, over HTTP`,
      "trained meanwhile: gbdt with 255 leaves on 208,000 rows x 3 features",
      ...await bench.describe(),
    ],
  };
}

const body = training.modelBodySchema.parse({
  task: "binary",
  entity: "customer",
  featureService: "features",
  spine: { source: "events", every: "P7D", activeWithin: "P60D" },
  label: { source: "events", aggregate: "exists", within: "P14D" },
  algorithm: "gbdt",
  parameters: { rounds: 10_000, maxLeaves: 255, learningRate: 0.001 },
  metric: "log_loss",
  split: { test: "P28D" },
});

/** @returns the id of a run that learns */
async function startTraining({ bus }: { bus: Parameters<typeof call>[0] }): Promise<string> {
  const { id } = await call(bus, training.startRun, { model: MODEL });
  for (;;) {
    const { stage, status, progress, error } = await call(bus, training.getRun, { id });
    if (status === "failed") throw new Error(`The training failed: ${error}`);
    if (stage === "fit" && progress > 0.4) return id;
    await delay(50);
  }
}

async function latencies(url: string, listed: readonly string[], requests: number) {
  const taken = new Float64Array(requests);
  let next = 0;
  const ask = async () => {
    while (next < requests) {
      const own = next++;
      const path = own % 2 === 0
        ? `/v1/runs?model=${MODEL}&limit=20`
        : `/v1/runs/${listed[own % listed.length]}`;
      const startedAt = performance.now();
      const response = await fetch(url + path);
      await response.bytes();
      taken[own] = performance.now() - startedAt;
      if (!response.ok) throw new Error(`GET ${path} answered ${response.status}`);
    }
  };
  await Promise.all(Array.from({ length: CALLERS }, ask));
  taken.sort();
  const quantile = (share: number) => taken[Math.min(requests - 1, Math.floor(share * requests))]!;
  return { p50_ms: quantile(0.5), p99_ms: quantile(0.99) };
}
