import { assertEquals } from "@std/assert";
import { Counter, Histogram, Registry } from "prom-client";
import { counterSeries, histogramSeries } from "./metric_series.ts";

/** The lines without comments; in what order is nobody's concern. */
const lines = async (registry: Registry) => (await registry.metrics()).split("\n").toSorted();

Deno.test("counterSeries() and histogramSeries() are scraped as prom-client's own metrics are", async () => {
  const [ours, theirs] = [new Registry(), new Registry()];
  const counted = { name: "calls_total", help: "Calls.", labelNames: ["arm", "status"] };
  const timed = { name: "call_seconds", help: "Time.", labelNames: ["arm"], buckets: [0.1, 0.5, 2] };
  const counter = counterSeries(ours, counted);
  const histogram = histogramSeries(ours, timed);
  const theirCounter = new Counter({ ...counted, registers: [theirs] });
  const theirHistogram = new Histogram({ ...timed, registers: [theirs] });
  for (
    const [arm, status, seconds] of [["a", 200, 0.1], ["b", 200, 0.11], ["a", 404, 7], ["a", 200, 0]] as const
  ) {
    counter.of(arm, status).add(2);
    theirCounter.inc({ arm, status }, 2);
    histogram.of(arm).observe(seconds);
    theirHistogram.observe({ arm }, seconds);
  }
  assertEquals(await lines(ours), await lines(theirs));
});

Deno.test("histogramSeries() keeps one series for the same label values", () => {
  const histogram = histogramSeries(new Registry(), {
    name: "x",
    help: "x",
    labelNames: ["a", "b"],
    buckets: [1],
  });
  assertEquals(histogram.of("a", "b") === histogram.of("a", "b"), true);
  assertEquals(histogram.of("a", "b") === histogram.of("b", "a"), false);
});
