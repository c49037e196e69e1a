/** How the prediction log does, for Prometheus. @module */
import { Gauge, type Registry } from "prom-client";
import type { PredictionLog } from "./prediction_log.ts";

export function measureLog(registry: Registry, log: Pick<PredictionLog, "countsByModel">): void {
  new Gauge({
    name: "prediction_log_entries",
    help:
      "Records since the start: made; waiting for JetStream; dropped, which leaves a gap in their sequence.",
    labelNames: ["model", "state"],
    registers: [registry],
    collect() {
      // Models that are deployed no more leave no value behind: theirs count as those of none.
      this.reset();
      for (const [model, counts] of log.countsByModel()) {
        for (const [state, count] of Object.entries(counts)) this.set({ model, state }, count);
      }
    },
  });
}
