/** What is measured of predictions, for Prometheus: by model, version and arm. @module */
import { Counter, Histogram, type Registry } from "prom-client";
import type { Prediction } from "./predict_call.ts";
import type { LogEntry } from "./prediction_log/log_entry.ts";
import type { ServedVersion } from "./runtime/admission.ts";

export interface PredictMetrics {
  /** Counts the outcomes of one call to one arm, as they are logged. */
  logged(entries: readonly LogEntry[]): void;
  /** Counts a call that names no model, and so has no place in the log. */
  unattributed(code: string): void;
  /** Times what was answered. */
  answered(prediction: Prediction): void;
  /** Counts a run. */
  ran(of: { model: string; version: number }, run: { rows: number; runMs: number }): void;
}

const SECONDS = [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5];
const ROWS = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1_024, 4_096];

interface Timers {
  features: { observe(seconds: number): void };
  queue: { observe(seconds: number): void };
  run: { observe(seconds: number): void };
  total: { observe(seconds: number): void };
}

export function createPredictMetrics(registry: Registry): PredictMetrics {
  const registers = [registry];
  const arm = ["model", "version", "arm"] as const;
  const requests = new Counter({
    name: "serving_requests_total",
    help: "Calls to an arm by what came of them: ok, or the code of the error.",
    labelNames: [...arm, "outcome"],
    registers,
  });
  const rows = new Counter({
    name: "serving_rows_total",
    help: "Rows of the calls to an arm.",
    labelNames: [...arm, "outcome"],
    registers,
  });
  const histogram = (name: string, help: string) =>
    new Histogram({ name, help, labelNames: arm, buckets: SECONDS, registers });
  const features = histogram("serving_features_seconds", "Waiting for the feature store.");
  const queue = histogram("serving_queue_seconds", "Waiting for a run.");
  const run = histogram("serving_run_seconds", "The run that a call was part of.");
  const total = histogram(
    "serving_predict_seconds",
    "From the call to its answer, without reading and writing it.",
  );
  const batches = new Histogram({
    name: "serving_batch_rows",
    help: "Rows of a run.",
    labelNames: ["model", "version"] as const,
    buckets: ROWS,
    registers,
  });

  /** Looking labels up costs more than counting: the timers of an arm are kept as long as its version. */
  const timers = new WeakMap<ServedVersion, Map<string, Timers>>();

  function timersOf({ served, arm }: Prediction): Timers {
    let arms = timers.get(served);
    if (arms === undefined) timers.set(served, arms = new Map());
    let found = arms.get(arm);
    if (found === undefined) {
      const labels = { model: served.entry.model, version: String(served.entry.version), arm };
      found = {
        features: features.labels(labels),
        queue: queue.labels(labels),
        run: run.labels(labels),
        total: total.labels(labels),
      };
      arms.set(arm, found);
    }
    return found;
  }

  return {
    logged(entries) {
      const [first] = entries;
      if (first === undefined) return;
      const { call, outcome, code } = first;
      const labels = {
        // A name that a caller made up is no label: it could fill the memory.
        model: call.project === null ? "none" : call.model,
        version: String(call.version ?? "none"),
        arm: call.arm ?? "none",
        outcome: code ?? outcome,
      };
      requests.inc(labels);
      rows.inc(labels, entries.length);
    },
    unattributed: (outcome) => requests.inc({ model: "none", version: "none", arm: "none", outcome }),
    answered(prediction) {
      const { times, read } = prediction;
      const timers = timersOf(prediction);
      if (read !== undefined) timers.features.observe(times.featuresMs / 1_000);
      timers.queue.observe(times.queueMs / 1_000);
      timers.run.observe(times.runMs / 1_000);
      timers.total.observe(times.totalMs / 1_000);
    },
    ran: ({ model, version }, { rows }) => batches.observe({ model, version: String(version) }, rows),
  };
}
