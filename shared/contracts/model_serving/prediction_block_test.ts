import { assert, assertEquals } from "@std/assert";
import { reasonsOf } from "../../validation.ts";
import { type PredictionBlock, predictionBlockSchema, recordsOf } from "./prediction_block.ts";

const block: PredictionBlock = {
  project: "shop",
  model: "reorder",
  version: 3,
  arm: "candidate",
  assigned: null,
  rerouted: null,
  featuresFrom: "store",
  featureService: { name: "orders", version: 2 },
  features: ["orders.count", "orders.kind"],
  classes: ["no", "perhaps"],
  sample: 0.5,
  instance: "a",
  boot: "boot",
  servedAt: "2026-01-01T00:00:01.000Z",
  calls: [
    {
      sequence: 7,
      afterMs: 5,
      latencyMs: 1.5,
      at: "2025-12-31T00:00:00.000Z",
      traceparent: "trace",
      position: 42,
      snapshot: "7:9:8",
      ids: ["one", "two"],
      outputs: [0, null],
      probabilities: [[0.75, 0.25], [null, null]],
      rows: [[1, "a"], [null, true]],
      entities: [{ customer_id: "1" }, { customer_id: "2" }],
      request: [{ basket: 1 }, {}],
      statuses: [{}, { "orders.count": "NOT_FOUND" }],
      marks: [{}, { "orders.count": "MISSING" }],
    },
    {
      sequence: 9,
      afterMs: -1,
      latencyMs: 2,
      failure: { code: "timeout", error: "too late" },
      ids: ["three"],
    },
  ],
};
const event = {
  specversion: "1.0" as const,
  id: "boot/7",
  source: "reorder",
  type: "microml.prediction.v2",
  time: block.servedAt,
  knownat: block.servedAt,
  definition: 3,
  data: block,
};

Deno.test("recordsOf() gives every row of a block as a record of its own, with what the block says once", () => {
  assertEquals(predictionBlockSchema.parse(block), block);
  const [one, two, three] = recordsOf(event);
  assertEquals(two, {
    specversion: "1.0",
    id: "two",
    source: "reorder",
    type: "microml.prediction.v2",
    time: "2025-12-31T00:00:00.000Z",
    knownat: "2026-01-01T00:00:01.005Z",
    definition: 3,
    traceparent: "trace",
    data: {
      project: "shop",
      model: "reorder",
      version: 3,
      arm: "candidate",
      assigned: null,
      rerouted: null,
      shadowOf: null,
      outcome: "ok",
      code: null,
      error: null,
      output: null,
      probabilities: { no: null, perhaps: null },
      entity: { customer_id: "2" },
      features: { "orders.count": null, "orders.kind": true },
      statuses: { "orders.count": "NOT_FOUND" },
      marks: { "orders.count": "MISSING" },
      featuresFrom: "store",
      request: {},
      featureService: { name: "orders", version: 2 },
      position: 42,
      snapshot: "7:9:8",
      latencyMs: 1.5,
      servedAt: "2026-01-01T00:00:01.005Z",
      sample: 0.5,
      instance: "a",
      boot: "boot",
      sequence: 8,
    },
  });
  assertEquals([one!.data.output, one!.data.probabilities], [0, { no: 0.75, perhaps: 0.25 }]);
  assertEquals(three!.time, "2026-01-01T00:00:00.999Z");
  const { outcome, code, error, sample, sequence, features, entity, output } = three!.data;
  assertEquals([outcome, code, error], ["error", "timeout", "too late"]);
  assertEquals([sample, sequence, features, entity, output], [1, 9, {}, null, null]);
});

Deno.test("recordsOf() takes a shadow's failure as sampled, like the answer that it belongs to", () => {
  const [, failed] = block.calls;
  const [record] = recordsOf({
    ...event,
    data: { ...block, calls: [{ ...failed!, shadowOf: ["answer"] }] },
  });
  assertEquals([record!.data.shadowOf, record!.data.outcome, record!.data.sample], ["answer", "error", 0.5]);
});

Deno.test("predictionBlockSchema refuses lists that are not as long as the ids, and rows of another width", () => {
  const [call] = block.calls;
  const mistakes = (changes: Partial<PredictionBlock["calls"][number]>) => {
    const { error } = predictionBlockSchema.safeParse({ ...block, calls: [{ ...call!, ...changes }] });
    return error && reasonsOf(error).map(({ path, message }) => `${path} ${message}`);
  };
  assertEquals(mistakes({ outputs: [0.5] }), ["/calls/0/outputs has 1 rows, and ids 2"]);
  assertEquals(mistakes({ rows: [[1, "a"], [1]] }), ["/calls/0/rows must each have 2 values"]);
  assertEquals(mistakes({ probabilities: [[1], [1]] }), ["/calls/0/probabilities must each have 2 values"]);
  assert(mistakes({ ids: [] })?.some((mistake) => mistake.startsWith("/calls/0/ids ")));
});
