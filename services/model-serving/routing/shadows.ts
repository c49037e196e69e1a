/**
 * Shadows: other versions are asked the same as the one that answered, off the caller's path, within a bound. What they
 * say is logged beside the answer, and how it differs is measured.
 *
 * @module
 */
import { Counter, Histogram, type Registry } from "prom-client";
import type { CallContext } from "shared/contracts/endpoint.ts";
import type { DeploymentBody } from "shared/contracts/model_serving.ts";
import type { Part } from "shared/lifecycle.ts";
import type { LiveModels } from "../live_models.ts";
import { type PredictCall, type Prediction, sizeOf } from "../predict_call.ts";
import { predictionIds } from "../prediction_id.ts";
import type { PredictionLog } from "../prediction_log/prediction_log.ts";
import type { ServedVersion } from "../runtime/admission.ts";
import { nothingScored, type Score } from "../score.ts";
import { answersAlike, asksAlike } from "./alike.ts";
import { rowMajor } from "../validation/given.ts";
import { type Failure, failureOf, loggedCall } from "../log_outcome.ts";

export interface ShadowsDeps {
  models: Pick<LiveModels, "lease">;
  deployments: () => ReadonlyMap<string, DeploymentBody>;
  score: Score;
  append: PredictionLog["append"];
  metrics: Registry;
  random?: () => number;
}

export interface Shadows extends Part {
  /** Takes an answer to be compared; returns at once. */
  answered(call: PredictCall, prediction: Prediction, context: CallContext): void;
}

/** Calls that wait for shadows, and rows of them: what comes beyond is passed over, and counted. */
const MAX_WAITING = 1_000;
const MAX_WAITING_ROWS = 16_384;
/** Calls that shadows answer at the same time. */
const MAX_RUNNING = 2;
/** How long a shadow waits for its turn behind the callers' rows. */
const TIMEOUT_MS = 10_000;

interface Task {
  name: string;
  alias: string;
  tolerance: number;
  /** As it was when the caller was answered. */
  deployment: DeploymentBody;
  call: PredictCall;
  prediction: Prediction;
  context: CallContext;
}

export function createShadows(deps: ShadowsDeps): Shadows {
  const { models, deployments, score, append, random = Math.random } = deps;
  const measure = createMeasures(deps.metrics);
  let waiting: Task[] = [];
  let waitingRows = 0;
  let running = 0;
  let idle: () => void = () => {};

  function start(): void {
    while (running < MAX_RUNNING && waiting.length > 0) {
      running++;
      const task = waiting.shift()!;
      waitingRows -= task.prediction.ids.length;
      void run(task).finally(() => {
        running--;
        if (waiting.length > 0) start();
        else if (running === 0) idle();
      });
    }
  }

  /** Never rejects: what fails is an outcome of the shadow. */
  async function run(task: Task): Promise<void> {
    const { name, alias, deployment, call, prediction, context } = task;
    const labels = { model: call.model, shadow: name };
    const startedAt = performance.now();
    const scored = nothingScored();
    let lease: ReturnType<typeof models.lease> | undefined;
    const log = (failure: Failure | undefined) => {
      scored.times.totalMs = performance.now() - startedAt;
      if (lease === undefined) return;
      append(loggedCall({
        call,
        context,
        served: lease.served,
        place: { arm: { name }, assigned: null, rerouted: null },
        servedAtMs: prediction.servedAtMs,
        ids: predictionIds(prediction.ids.length, prediction.servedAtMs),
        scored,
        shadowOf: prediction.ids,
      }, failure));
    };
    try {
      lease = models.lease(call.model, alias);
      const { served } = lease;
      await score(asSeenBy(served, call, prediction), {
        served,
        deployment,
        context,
        deadline: startedAt + TIMEOUT_MS,
        into: scored,
      });
      log(undefined);
      if (answersAlike(served.signature, prediction.served.signature)) {
        measure.compared(labels, task, scored.outputs!);
      } else measure.incomparable(labels);
    } catch (error) {
      measure.failed(labels);
      log(failureOf(error));
    } finally {
      lease?.release();
    }
  }

  return {
    name: "shadows",
    answered(call, prediction, context) {
      const deployment = deployments().get(call.model);
      if (deployment === undefined) return;
      const rows = prediction.ids.length;
      for (const [name, { alias, share, tolerance }] of Object.entries(deployment.shadows)) {
        if (share < 1 && random() >= share) continue;
        if (waiting.length >= MAX_WAITING || waitingRows + rows > MAX_WAITING_ROWS) {
          measure.passedOver({ model: call.model, shadow: name });
          continue;
        }
        waiting.push({ name, alias, tolerance, deployment, call, prediction, context });
        waitingRows += rows;
      }
      start();
    },
    start: () => Promise.resolve(),
    async stop() {
      waiting = [];
      if (running === 0) return;
      await new Promise<void>((resolve) => idle = resolve);
    },
  };
}

/**
 * What the shadow is asked: the very rows that were answered where it takes the same features, else the same entities at
 * the same T.
 */
function asSeenBy(served: ServedVersion, call: PredictCall, prediction: Prediction): PredictCall {
  const { given } = prediction.checked;
  const rows = sizeOf(call.question);
  return {
    ...call,
    priority: "low",
    ...(asksAlike(served.signature, prediction.served.signature)
      ? { question: { rows, check: (checker) => checker.matrix(rowMajor(given), rows) } }
      : {}),
    ...(prediction.at === null ? {} : { asOf: prediction.at }),
  };
}

type Labels = { model: string; shadow: string };

function createMeasures(registry: Registry) {
  const labelNames = ["model", "shadow"];
  const outcomes = new Counter({
    name: "shadow_rows_total",
    help:
      "Rows that shadows were asked: alike, different (by more than the tolerance); calls that failed, were answered " +
      "otherwise than the champion does (incomparable), or passed over.",
    labelNames: [...labelNames, "outcome"],
    registers: [registry],
  });
  const differences = new Histogram({
    name: "shadow_difference",
    help:
      "Absolute difference of a shadow's output from the one that the caller got, in the output's unit; of several classes the largest.",
    labelNames,
    buckets: [0, 1e-6, 1e-4, 1e-3, 1e-2, 0.05, 0.1, 0.2, 0.5, 1, 10, 100, 1_000],
    registers: [registry],
  });
  return {
    compared(labels: Labels, { prediction, tolerance }: Task, outputs: Float32Array) {
      const width = prediction.served.model.outputWidth;
      let different = 0;
      prediction.ids.forEach((_, row) => {
        let difference = 0;
        for (let at = row * width; at < (row + 1) * width; at++) {
          difference = Math.max(difference, Math.abs(outputs[at]! - prediction.outputs[at]!));
        }
        differences.observe(labels, difference);
        if (difference > tolerance) different++;
      });
      outcomes.inc({ ...labels, outcome: "different" }, different);
      outcomes.inc({ ...labels, outcome: "alike" }, prediction.ids.length - different);
    },
    incomparable: (labels: Labels) => outcomes.inc({ ...labels, outcome: "incomparable" }),
    failed: (labels: Labels) => outcomes.inc({ ...labels, outcome: "failed" }),
    passedOver: (labels: Labels) => outcomes.inc({ ...labels, outcome: "passed_over" }),
  };
}
