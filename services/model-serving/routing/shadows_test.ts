import { assertEquals, assertStringIncludes } from "@std/assert";
import { Registry } from "prom-client";
import { deploymentBodySchema } from "shared/contracts/model_serving.ts";
import type { Prediction } from "../predict_call.ts";
import { predictionIds } from "../prediction_id.ts";
import type { ServedVersion } from "../runtime/admission.ts";
import { signature } from "../testing/model_file.ts";
import { createShadows } from "./shadows.ts";

const served: ServedVersion = {
  entry: {
    model: "reorder",
    alias: "challenger",
    version: 2,
    sha256: "",
    signature,
    revision: 1,
    project: "shop",
  },
  signature,
  model: {
    runtime: "none",
    outputWidth: 1,
    predict: ({ rows }) => Promise.resolve(new Float32Array(rows)),
    predictNow: ({ rows }) => new Float32Array(rows),
    unload: () => Promise.resolve(),
  },
  batcher: { waitingRows: 0, predict: () => Promise.reject(new Error("not asked")) },
};

const context = { actor: "test", idempotencyKey: undefined, traceparent: undefined };

function answerOf(rows: number): Prediction {
  return {
    served,
    arm: "champion",
    at: null,
    servedAtMs: 0,
    ids: predictionIds(rows, 0),
    entities: undefined,
    request: undefined,
    checked: { rows, numbers: new Float32Array(2 * rows), categories: [], given: [], marks: new Map() },
    read: undefined,
    outputs: new Float32Array(rows),
    times: { featuresMs: 0, queueMs: 0, runMs: 0, totalMs: 0 },
  };
}

Deno.test("shadows that come to a halt keep a bounded number of calls and of rows waiting, and count the others", async () => {
  for (const { rows, kept } of [{ rows: 1, kept: 1_000 }, { rows: 4_096, kept: 4 }]) {
    const metrics = new Registry();
    const halt = Promise.withResolvers<void>();
    let asked = 0;
    const shadows = createShadows({
      models: { lease: () => ({ served, release: () => {} }) },
      deployments: () =>
        new Map([["reorder", deploymentBodySchema.parse({ shadows: { next: { alias: "challenger" } } })]]),
      async score(_, { into }) {
        asked++;
        await halt.promise;
        into.outputs = new Float32Array(rows);
      },
      append: () => {},
      metrics,
    });
    const call = { model: "reorder", question: { rows, check: () => answerOf(rows).checked } };
    for (let index = 0; index < 1_100; index++) shadows.answered(call, answerOf(rows), context);
    assertEquals(asked, 2);
    const passedOver = 1_100 - 2 - kept;
    const counted = `shadow_rows_total{model="reorder",shadow="next",outcome="passed_over"} ${passedOver}`;
    assertStringIncludes(await metrics.metrics(), counted);
    halt.resolve();
    // What waits is dropped at the stop, and what runs is waited for.
    await shadows.stop();
    assertEquals(asked, 2);
  }
});
