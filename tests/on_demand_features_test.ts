/** What a caller gives with a prediction reaches the feature store's on-demand features, through both real services. */
import { assertEquals, assertRejects } from "@std/assert";
import { encodeBatches } from "shared/bus/batch.ts";
import { publishAll } from "shared/bus/publisher.ts";
import { EVENT_TYPE } from "shared/contracts/envelope.ts";
import * as store from "shared/contracts/feature_store.ts";
import { predict } from "shared/contracts/model_serving.ts";
import type { Signature } from "shared/contracts/signature.ts";
import { subject } from "shared/contracts/streams.ts";
import { AppError } from "shared/errors.ts";
import { eventually } from "shared/testing/poll.ts";
import { storedPredictions } from "shared/testing/predictions.ts";
import { startTestService } from "shared/testing/service.ts";
import * as featureStore from "../services/feature-store/app.ts";
import { configSchema } from "../services/feature-store/config.ts";
import { linearModelFile } from "../services/model-serving/testing/model_file.ts";
import { deploy, MODEL, pointAlias, startServing } from "../services/model-serving/testing/serving.ts";

const signature: Signature = {
  task: "regression",
  entity: "customer",
  featureService: { name: "basket", version: 1 },
  inputs: [
    { name: "orders.count", type: "number", nulls: "refuse" },
    { name: "orders.basket_share", type: "number", nulls: "refuse" },
  ],
  output: "value",
  classes: null,
};

const time = "2026-01-01T00:00:00.000Z";

const sale = (customer_id: string, amount: number) => ({
  specversion: "1.0" as const,
  id: customer_id,
  source: "sales",
  type: EVENT_TYPE.clean,
  time,
  knownat: time,
  definition: 0,
  data: { customer_id, amount },
});

Deno.test("predict() hands request values to on-demand features, logs them, and their check computes the same", async () => {
  await using serving = await startServing();
  const { bus } = serving;
  await using features = await startTestService("feature-store", configSchema, featureStore.createApp, {
    bus,
  });
  const put = { project: "shop" };
  await features.call(store.putEntity, {
    ...put,
    name: "customer",
    body: { keys: { customer_id: "string" } },
  });
  await features.call(store.putView, {
    ...put,
    name: "orders",
    body: {
      entity: "customer",
      source: "sales",
      request: { basket: "number" },
      features: {
        count: { aggregate: "count", window: null },
        spend: { aggregate: "sum", field: "amount", window: null },
        basket_share: { expression: "r.basket / f.spend" },
      },
    },
  });
  await features.call(store.putFeatureService, {
    ...put,
    name: "basket",
    body: { features: ["orders.count", "orders.basket_share"] },
  });
  await publishAll(
    bus,
    encodeBatches([sale("1", 40), sale("2", 100)], { subject: subject.clean("sales") }),
  );
  await eventually(async () => {
    assertEquals((await features.call(store.counts, {})).sources[0]?.records, 2);
  });
  // Away, nothing stands for what it would have computed of other values.
  await deploy(serving, { features: { fallback: "last_known" } });
  await pointAlias(bus, "champion", 2, linearModelFile([1, 10], signature), { signature });

  const entities = [{ customer_id: "1" }, { customer_id: "2" }];
  const ask = (request: store.RequestValues | store.RequestValues[]) =>
    serving.call(predict, { model: MODEL, entities, request });
  const [first, second] = await eventually(async () => {
    const { version, predictions } = await ask([{ basket: 20 }, { basket: 50 }]);
    assertEquals(version, 2);
    return predictions;
  });
  assertEquals([first!.output, second!.output], [1 + 10 * 20 / 40, 1 + 10 * 50 / 100]);
  assertEquals(first!.features, { "orders.count": 1, "orders.basket_share": 0.5 });
  assertEquals(first!.statuses, { "orders.count": "PRESENT", "orders.basket_share": "PRESENT" });
  // One for all of them.
  assertEquals((await ask({ basket: 10 })).predictions.map(({ output }) => output), [3.5, 2]);
  // Callers that share a lookup keep their own values.
  const shared = await Promise.all(
    Array.from({ length: 30 }, (_, basket) => ask([{ basket }, { basket: 2 * basket }])),
  );
  assertEquals(
    shared.map(({ predictions }) => predictions.map(({ features }) => features!["orders.basket_share"])),
    Array.from({ length: 30 }, (_, basket) => [basket / 40, 2 * basket / 100]),
  );

  const missing = await assertRejects(() => ask([{ basket: 1 }, {}]), AppError);
  assertEquals([missing.code, missing.reasons.map(({ path }) => path)], ["invalid", ["/request/1/basket"]]);
  const forAll = await assertRejects(() => ask({}), AppError);
  assertEquals(forAll.reasons.map(({ path }) => path), ["/request/basket"]);
  const ofAnotherType = await assertRejects(() => ask({ basket: "full" }), AppError);
  assertEquals(ofAnotherType.reasons.map(({ path }) => path), ["/request/basket"]);
  const unasked = await assertRejects(() => ask([{ basket: 1 }]), AppError);
  assertEquals(unasked.reasons.map(({ path }) => path), ["/request"]);

  const response = await fetch(`${serving.url}/v1/models/${MODEL}/predict`, {
    method: "POST",
    headers: { "content-type": "application/x-ndjson" },
    body: entities.map((entity, index) => JSON.stringify({ entity, request: { basket: 20 * index } })).join(
      "\n",
    ),
  });
  const lines = (await response.text()).trim().split("\n").map((line) => JSON.parse(line).output);
  assertEquals(lines, [1, 3]);

  await eventually(async () => {
    const events = await storedPredictions(bus);
    const { data } = events.find(({ id }) => id === second!.id)!;
    assertEquals(data.request, { basket: 50 });
    assertEquals(events.filter(({ data }) => data.outcome === "ok").length, 2 * (1 + 1 + 30 + 1));
  });
  // Without what was given an on-demand feature could not be computed again.
  const { models: [model] } = await features.call(store.checkConsistency, { predictions: 100 });
  assertEquals([model!.unexplained, model!.explained], [0, 0]);
  assertEquals(model!.values, 2 * 2 * (1 + 1 + 30 + 1));
});
