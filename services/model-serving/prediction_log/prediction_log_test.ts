import { assertEquals } from "@std/assert";
import { silentLogger } from "shared/log.ts";
import { startTestBus } from "shared/testing/bus.ts";
import { eventually } from "shared/testing/poll.ts";
import { createPredictionLog } from "./prediction_log.ts";

Deno.test("the prediction log stops while what it sent is never acknowledged", async () => {
  await using bus = await startTestBus();
  const predictionLog = createPredictionLog(bus, { instance: "test", log: silentLogger });
  await predictionLog.start();
  await bus.server.kill();
  predictionLog.append([{
    id: "0198c0de-0000-7000-8000-000000000001",
    at: "2026-01-01T00:00:00.000Z",
    traceparent: undefined,
    record: {
      project: "shop",
      model: "reorder",
      version: 1,
      arm: "champion",
      outcome: "ok",
      error: null,
      output: 0.5,
      entity: null,
      features: {},
      position: null,
      latencyMs: 1,
      servedAt: "2026-01-01T00:00:00.000Z",
    },
  }]);
  // On its way: the publish began before the stop, with all of a publish's patience.
  await eventually(() => assertEquals(predictionLog.counts().waiting, 0));

  let stopped = false;
  const stopping = predictionLog.stop().then(() => stopped = true);
  await eventually(() => stopped, { timeoutMs: 15_000 });
  await stopping;
});
