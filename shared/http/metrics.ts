/**
 * What every service measures of itself, for Prometheus.
 *
 * @module
 */
import type { MiddlewareHandler } from "hono";
import { routePath } from "hono/route";
import { Gauge, type Registry } from "prom-client";
import { histogramSeries } from "../metric_series.ts";

/**
 * Adds the process's memory. prom-client's own gauges read files of `/proc`, which a service may not: without
 * that right they would say 0.
 */
export function measureMemory(registry: Registry): void {
  new Gauge({
    name: "process_resident_memory_bytes",
    help: "Memory of the process that is in RAM.",
    registers: [registry],
    collect() {
      this.set(Deno.memoryUsage().rss);
    },
  });
  new Gauge({
    name: "deno_heap_bytes",
    help: "The JavaScript heap: used, total, and what it holds outside itself (WASM, buffers).",
    labelNames: ["part"],
    registers: [registry],
    collect() {
      const { heapUsed, heapTotal, external } = Deno.memoryUsage();
      this.set({ part: "used" }, heapUsed);
      this.set({ part: "total" }, heapTotal);
      this.set({ part: "external" }, external);
    },
  });
}

/** Times each request by method, route (its pattern, not its path) and status. */
export function measureRequests(registry: Registry): MiddlewareHandler {
  const duration = histogramSeries(registry, {
    name: "http_request_duration_seconds",
    help: "From the request's arrival to its answer.",
    labelNames: ["method", "route", "status"],
    buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10],
  });
  return async (c, next) => {
    const start = performance.now();
    await next();
    // Patterns only: a label a path would let any caller fill the memory.
    const matched = routePath(c);
    duration.of(c.req.method, matched === "/*" ? "none" : matched, c.res.status)
      .observe((performance.now() - start) / 1000);
  };
}
