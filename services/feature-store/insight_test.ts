import { assert, assertEquals, assertRejects } from "@std/assert";
import { encodeBatches } from "shared/bus/batch.ts";
import { bucketPut } from "shared/bus/bucket.ts";
import { publishAll } from "shared/bus/publisher.ts";
import * as contract from "shared/contracts/feature_store.ts";
import { predictionRecordSchema } from "shared/contracts/model_serving.ts";
import type { Signal } from "shared/contracts/signal.ts";
import { BUCKET, STREAM, subject } from "shared/contracts/streams.ts";
import { AppError } from "shared/errors.ts";
import { startTestBus } from "shared/testing/bus.ts";
import { createTestDatabase } from "shared/testing/database.ts";
import { eventually } from "shared/testing/poll.ts";
import type { TestService } from "shared/testing/service.ts";
import { everythingIsAcknowledged, storedEvents } from "shared/testing/streams.ts";
import {
  countsOf,
  day,
  defineShop,
  history,
  line,
  orderFeatures,
  project,
  publishLines,
  setClock,
  startFeatureStore,
} from "./testing/shop.ts";

/** Twenty customers, all they bought applied and acknowledged. */
async function startShop(env: Record<string, string> = {}): Promise<TestService> {
  const service = await startFeatureStore({ env });
  await defineShop(service);
  await publishLines(service.bus, history(20, 10));
  await eventually(async () => assertEquals((await countsOf(service)).records, 200));
  await eventually(() =>
    everythingIsAcknowledged(service.bus, { stream: STREAM.clean, durable: "feature-store" })
  );
  await setClock(service.bus, day(150));
  return service;
}

type Answer = Awaited<ReturnType<typeof readAll>>;

const readAll = (service: TestService) =>
  service.call(contract.online, {
    features: { service: "churn" },
    entities: Array.from({ length: 20 }, (_, customer_id) => ({ customer_id })),
    asOf: day(140),
  });

/** Logs what was read, as model-serving does. @param change what is logged of a value instead */
async function logPredictions(
  service: TestService,
  { at, position, rows, features }: Answer,
  change = (value: contract.FeatureValue, _customer: number, _feature: string) => value,
): Promise<void> {
  const events = rows.map(({ entity, values }, sequence) => ({
    specversion: "1.0" as const,
    id: crypto.randomUUID(),
    source: "churn",
    type: "microml.prediction.v1",
    time: at,
    knownat: at,
    definition: 1,
    data: predictionRecordSchema.parse({
      project,
      model: "churn",
      version: 1,
      arm: "champion",
      outcome: "ok",
      error: null,
      output: 0.5,
      entity,
      features: Object.fromEntries(
        features.map((name, index) => [name, change(values[index]!, Number(entity["customer_id"]), name)]),
      ),
      position,
      latencyMs: 1,
      servedAt: new Date().toISOString(),
      instance: "test",
      boot: "test",
      sequence,
    }),
  }));
  await publishAll(service.bus, encodeBatches(events, { subject: subject.predictions("churn") }));
}

const check = async (service: TestService) => {
  const { models: [model] } = await service.call(contract.checkConsistency, { predictions: 100 });
  return model!;
};

Deno.test("a consistency check finds what was served to be what is computed now", async () => {
  await using service = await startShop();
  await logPredictions(service, await readAll(service));
  const { values, predictions, explained, unexplained, skipped, lag } = await check(service);
  assertEquals([predictions, values, skipped], [20, 20 * orderFeatures.length, 0]);
  assertEquals([explained, unexplained, lag], [0, 0, null]);
  const { checks } = await service.call(contract.listConsistencyChecks, {});
  assertEquals(checks.map(({ models }) => models[0]!.values), [values]);
  assert((await (await fetch(`${service.url}/metrics`)).text()).includes('outcome="equal"} 120'));
});

Deno.test("a consistency check counts an unexplained difference, shows it and signals it", async () => {
  await using service = await startShop();
  const read = await readAll(service);
  await logPredictions(
    service,
    read,
    (value, customer, feature) => customer === 7 && feature === "orders.spend" ? Number(value) + 1 : value,
  );
  const { explained, unexplained, examples } = await check(service);
  assertEquals([explained, unexplained], [0, 1]);
  const [{ entity, feature, served, computed }] = examples as [typeof examples[number]];
  assertEquals([entity, feature, Number(served) - Number(computed)], [{ customer_id: 7 }, "orders.spend", 1]);
  await eventually(async () => {
    const [signal] = await storedEvents<Signal>(service.bus, STREAM.signals);
    assertEquals([signal?.data.kind, signal?.data.name, signal?.data.status], [
      "consistency",
      "churn",
      "breach",
    ]);
  });
});

Deno.test("a consistency check explains a difference by records that were applied after the read", async () => {
  await using service = await startShop();
  const read = await readAll(service);
  await logPredictions(service, read);
  await publishLines(service.bus, [
    line({ customer_id: 3, amount: 100, cancelled: false }, { id: "delayed", at: 138, knownAt: 139 }),
  ]);
  await eventually(async () => assertEquals((await countsOf(service)).records, 201));
  const { explained, unexplained, lag } = await check(service);
  assert(explained >= 3, `${explained} explained`);
  assertEquals(unexplained, 0);
  assertEquals(lag, { maxMessages: 1, medianMs: 86_400_000, maxMs: 86_400_000 });
});

Deno.test("a consistency check leaves out what can't be compared, and looks at its time by itself", async () => {
  await using service = await startShop({ CONSISTENCY_CHECK_SECONDS: "1" });
  const read = await readAll(service);
  await logPredictions(service, { ...read, position: null as unknown as number });
  await eventually(async () => {
    const { checks } = await service.call(contract.listConsistencyChecks, {});
    const [latest] = checks.filter(({ models }) => models.length > 0);
    const model = latest?.models[0];
    // Five of a message, unless more are asked for.
    assertEquals([latest?.actor, model?.skipped, model?.values], ["schedule", 5, 0]);
  });
});

Deno.test("statistics of features are sampled at their time, and listed newest first", async () => {
  await using service = await startShop({ FEATURE_STATISTICS_SECONDS: "1" });
  const list = (more: { feature?: string; before?: string } = {}) =>
    service.call(contract.featureStatistics, { view: "orders", ...more });
  const spend = await eventually(async () => {
    const { statistics: [spend] } = await list({ feature: "spend" });
    assertEquals(spend?.at, day(150));
    return spend!;
  });
  const read = await readAll(service);
  const values = read.rows.map(({ values }) => Number(values[orderFeatures.indexOf("orders.spend")]));
  assertEquals(spend.statuses, { PRESENT: 20, NULL: 0, NOT_FOUND: 0, EXPIRED: 0 });
  assertEquals([spend.numbers!.min, spend.numbers!.max], [Math.min(...values), Math.max(...values)]);
  assert(spend.freshness!.p50 > 0 && spend.freshness!.p50 <= spend.freshness!.max);
  await setClock(service.bus, day(151));
  await eventually(async () => assertEquals((await list()).statistics[0]?.at, day(151)));
  const { statistics: earlier } = await list({ before: day(151) });
  assertEquals(new Set(earlier.map(({ at }) => at)).has(day(151)), false);
});

Deno.test("lineage leads from sources to models, usage tells who reads what", async () => {
  await using service = await startShop();
  const model = {
    project,
    kind: "model",
    name: "churn",
    version: 3,
    body: { featureService: "churn" },
    actor: "test",
    changedAt: day(0),
  };
  await publishAll(service.bus, [bucketPut(BUCKET.definitions, "model-training.model.churn", model, "m:3")]);
  await service.call(contract.putView, {
    project,
    name: "visits",
    body: {
      entity: "customer",
      source: "page_views",
      features: { views: { aggregate: "count", window: "P7D" } },
    },
  });
  await eventually(async () => {
    const { nodes } = await service.call(contract.lineage, { kind: "source", name: "invoice_lines" });
    assertEquals(nodes, [
      { kind: "source", name: "invoice_lines", version: null },
      { kind: "view", name: "orders", version: 1 },
      { kind: "service", name: "churn", version: 1 },
      { kind: "model", name: "churn", version: 3 },
    ]);
  });
  const { edges } = await service.call(contract.lineage, { kind: "model", name: "churn" });
  assertEquals(edges.map(({ from, to }) => `${from.kind} -> ${to.kind}`).sort(), [
    "service -> model",
    "source -> view",
    "view -> service",
  ]);
  assertEquals(edges.find(({ to }) => to.kind === "service")?.features, orderFeatures);
  assertEquals((await service.call(contract.lineage, {})).nodes.length, 6);
  await assertRejects(
    () => service.call(contract.lineage, { kind: "view" }),
    AppError,
    "name one node together",
  );

  const { features } = await service.call(contract.usage, {});
  assertEquals(features.find(({ feature }) => feature === "orders.spend"), {
    feature: "orders.spend",
    services: ["churn"],
    models: ["churn"],
  });
  assertEquals(features.find(({ feature }) => feature === "visits.views")?.models, []);
});

Deno.test("online reads are counted, by the service or by the views that were asked for", async () => {
  await using bus = await startTestBus();
  await using database = await createTestDatabase("feature-store");
  const service = await startFeatureStore({ bus, databaseUrl: database.url });
  await defineShop(service);
  await readAll(service);
  await service.call(contract.online, { features: ["orders.spend"], entities: [{ customer_id: 1 }] });
  // The counts are kept every ten seconds, and at the end.
  await service.stop();
  await using other = await startFeatureStore({ bus, databaseUrl: database.url });
  const { reads } = await other.call(contract.usage, {});
  const today = new Date().toISOString().slice(0, 10);
  assertEquals(reads, [
    { kind: "service", name: "churn", reads: 1, entities: 20, lastDay: today },
    { kind: "view", name: "orders", reads: 1, entities: 1, lastDay: today },
  ]);
});
