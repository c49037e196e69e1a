/** What is known of the prediction log, for Prometheus. @module */
import { Gauge, type Registry } from "prom-client";

export interface LogTotals {
  model: string;
  received: number;
  missing: number;
  outstanding: number;
}

/** One gauge, so that its parts are of one reading of the database. */
export function measureLogGaps(registry: Registry, read: () => Promise<LogTotals[]>): void {
  new Gauge({
    name: "prediction_log_records",
    help:
      "Records of the prediction log: received; missing before a later one that came; outstanding, told of by " +
      "who made them and not here yet.",
    labelNames: ["model", "part"],
    registers: [registry],
    async collect() {
      for (const { model, ...parts } of await read()) {
        for (const [part, records] of Object.entries(parts)) this.set({ model, part }, records);
      }
    },
  });
}
