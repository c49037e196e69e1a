import { assert, assertEquals, assertRejects } from "@std/assert";
import { encodeBatches } from "shared/bus/batch.ts";
import { bucketPut } from "shared/bus/bucket.ts";
import { publishAll } from "shared/bus/publisher.ts";
import { HEADER } from "shared/contracts/envelope.ts";
import * as contract from "shared/contracts/feature_store.ts";
import { BUCKET, subject } from "shared/contracts/streams.ts";
import { AppError } from "shared/errors.ts";
import { startTestBus } from "shared/testing/bus.ts";
import { createTestDatabase } from "shared/testing/database.ts";
import { eventually } from "shared/testing/poll.ts";
import {
  DAY,
  day,
  defineShop,
  line,
  orderFeatures,
  project,
  putBaskets,
  readCustomers,
  setClock,
  startFeatureStore,
  startShop,
} from "./testing/shop.ts";

Deno.test("statistics of features are sampled at their time, and listed newest first", async () => {
  await using service = await startShop({ FEATURE_STATISTICS_SECONDS: "1" });
  const list = (more: { feature?: string; before?: string } = {}) =>
    service.call(contract.featureStatistics, { view: "orders", ...more });
  const spend = await eventually(async () => {
    const { statistics: [spend] } = await list({ feature: "spend" });
    assertEquals(spend?.at, day(150));
    return spend!;
  });
  const read = await readCustomers(service);
  const values = read.rows.map(({ values }) => Number(values[orderFeatures.indexOf("orders.spend")]));
  assertEquals(spend.statuses, { PRESENT: 20, NULL: 0, NOT_FOUND: 0, EXPIRED: 0 });
  assertEquals([spend.numbers!.min, spend.numbers!.max], [Math.min(...values), Math.max(...values)]);
  assert(spend.freshness!.p50 > 0 && spend.freshness!.p50 <= spend.freshness!.max);
  await setClock(service.bus, day(151));
  await eventually(async () => assertEquals((await list()).statistics[0]?.at, day(151)));
  const { statistics: earlier } = await list({ before: day(151) });
  assertEquals(new Set(earlier.map(({ at }) => at)).has(day(151)), false);
});

Deno.test("statistics of features are of the clock up to which events are applied", async () => {
  await using service = await startFeatureStore({ env: { FEATURE_STATISTICS_SECONDS: "1" } });
  await defineShop(service);
  // What happened up to day 150 is known of, and what comes after day 100 is still on its way.
  await setClock(service.bus, day(150));
  const event = line({ customer_id: 1, amount: 1, cancelled: false }, { id: "1", at: 90 });
  const messages = encodeBatches([event], { subject: subject.clean("invoice_lines") });
  await publishAll(
    service.bus,
    messages.map((message) => ({
      ...message,
      headers: { ...message.headers, [HEADER.project]: project, [HEADER.clock]: day(100) },
    })),
  );
  await eventually(async () => {
    const { statistics } = await service.call(contract.featureStatistics, {
      view: "orders",
      feature: "spend",
    });
    const [{ at, statuses, freshness }] = statistics as [contract.FeatureStatistics];
    assertEquals([at, statuses.PRESENT, freshness?.max], [day(100), 1, 10 * DAY]);
  });
});

Deno.test("statistics of features leave out those that are computed on demand", async () => {
  await using service = await startShop({ FEATURE_STATISTICS_SECONDS: "1" });
  await putBaskets(service, {
    request: { basket: "number" },
    features: {
      lines: { aggregate: "count", window: null },
      share: { expression: "r.basket / f.lines" },
      doubled: { expression: "f.share * 2.0" },
    },
  });
  const statistics = await eventually(async () => {
    const { statistics } = await service.call(contract.featureStatistics, { view: "baskets" });
    assert(statistics.length > 0);
    return statistics;
  });
  assertEquals(new Set(statistics.map(({ feature }) => feature)), new Set(["baskets.lines"]));
});

Deno.test("lineage and usage follow expressions from view to view", async () => {
  await using service = await startFeatureStore();
  await defineShop(service);
  const put = (name: string, source: string, features: contract.ViewBody["features"]) =>
    service.call(contract.putView, { project, name, body: { entity: "customer", source, features } });
  await put("visits", "page_views", { visits: { aggregate: "count", window: "P7D" } });
  await put("ratios", "page_views", { a_visit: { expression: 'f["orders.spend"] / f["visits.visits"]' } });
  await put("marks", "page_views", { good: { expression: 'f["ratios.a_visit"] > 10.0' } });
  await service.call(contract.putFeatureService, {
    project,
    name: "good",
    body: { features: ["marks.good"] },
  });
  const edges = await eventually(async () => {
    const { edges } = await service.call(contract.lineage, { kind: "service", name: "good" });
    assertEquals(edges.length, 8);
    return edges.map(({ from, to, features }) => `${from.name} -> ${to.name}: ${features}`).sort();
  });
  assertEquals(edges, [
    "invoice_lines -> orders: ",
    "marks -> good: marks.good",
    "orders -> ratios: orders.spend",
    "page_views -> marks: ",
    "page_views -> ratios: ",
    "page_views -> visits: ",
    "ratios -> marks: ratios.a_visit",
    "visits -> ratios: visits.visits",
  ]);
  const { nodes } = await service.call(contract.lineage, { kind: "source", name: "invoice_lines" });
  assertEquals(
    new Set(nodes.map(({ name }) => name)),
    new Set(["invoice_lines", "orders", "churn", "ratios", "marks", "good"]),
  );
  const { features } = await service.call(contract.usage, {});
  const readersOf = (name: string) => features.find(({ feature }) => feature === name)?.services.toSorted();
  assertEquals([readersOf("orders.spend"), readersOf("visits.visits")], [["churn", "good"], ["good"]]);
  assertEquals(readersOf("orders.lines_30d"), ["churn"]);
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
  await readCustomers(service);
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
