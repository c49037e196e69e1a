/** What is measured of predictions, for Prometheus: by model, version and arm. @module */
import type { Registry } from "prom-client";
import { counterSeries, type HistogramSeries, histogramSeries, type SeriesOf } from "shared/metric_series.ts";
import type { Prediction } from "./predict_call.ts";
import type { LoggedCall } from "./prediction_log/logged_call.ts";

export interface PredictMetrics {
  /** Counts the outcome of a call to an arm, as it is logged. */
  logged(call: LoggedCall): void;
  /** Counts a call that names no model, and so has no place in the log. */
  unattributed(code: string): void;
  /** Times what was answered. */
  answered(prediction: Prediction): void;
  /** Counts a run. */
  ran(of: { model: string; version: number }, run: { rows: number; runMs: number }): void;
}

const SECONDS = [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5];
const ROWS = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1_024, 4_096];

export function createPredictMetrics(registry: Registry): PredictMetrics {
  const arm = ["model", "version", "arm"] as const;
  const requests = counterSeries(registry, {
    name: "serving_requests_total",
    help: "Calls to an arm by what came of them: ok, or the code of the error.",
    labelNames: [...arm, "outcome"],
  });
  const rows = counterSeries(registry, {
    name: "serving_rows_total",
    help: "Rows of the calls to an arm.",
    labelNames: [...arm, "outcome"],
  });
  const histogram = (name: string, help: string) =>
    histogramSeries(registry, { name, help, labelNames: arm, buckets: SECONDS });
  const features = histogram("serving_features_seconds", "Waiting for the feature store.");
  const queue = histogram("serving_queue_seconds", "Waiting for a run.");
  const run = histogram("serving_run_seconds", "The run that a call was part of.");
  const total = histogram(
    "serving_predict_seconds",
    "From the call to its answer, without reading and writing it.",
  );
  const batches = histogramSeries(registry, {
    name: "serving_batch_rows",
    help: "Rows of a run.",
    labelNames: ["model", "version"],
    buckets: ROWS,
  });

  return {
    logged(call) {
      // A name that a caller made up is no label: it could fill the memory.
      const model = call.project === null ? "none" : call.model;
      const { version, arm, failure, ids } = call;
      const labels = [model, version ?? "none", arm ?? "none", failure?.code ?? "ok"] as const;
      requests.of(...labels).add(1);
      rows.of(...labels).add(ids.length);
    },
    unattributed: (outcome) => requests.of("none", "none", "none", outcome).add(1),
    answered(prediction) {
      const { served: { entry: { model, version } }, times, read } = prediction;
      const observe = (histogram: SeriesOf<HistogramSeries>, ms: number) =>
        histogram.of(model, version, prediction.arm).observe(ms / 1_000);
      if (read !== undefined) observe(features, times.featuresMs);
      observe(queue, times.queueMs);
      observe(run, times.runMs);
      observe(total, times.totalMs);
    },
    ran: ({ model, version }, { rows }) => batches.of(model, version).observe(rows),
  };
}
