import { assert, assertEquals } from "@std/assert";
import { encodeBatches } from "shared/bus/batch.ts";
import { publishAll } from "shared/bus/publisher.ts";
import { EVENT_TYPE, HEADER, type PlatformEvent } from "shared/contracts/envelope.ts";
import * as contract from "shared/contracts/feature_store.ts";
import type { PredictionRecord } from "shared/contracts/model_serving.ts";
import type { Signal } from "shared/contracts/signal.ts";
import { STREAM, subject } from "shared/contracts/streams.ts";
import { startTestBus } from "shared/testing/bus.ts";
import { createTestDatabase } from "shared/testing/database.ts";
import { eventually } from "shared/testing/poll.ts";
import { predictionMessages } from "shared/testing/predictions.ts";
import type { TestService } from "shared/testing/service.ts";
import { storedEvents } from "shared/testing/streams.ts";
import { parseSnapshot } from "./domain/consistency.ts";
import {
  countsOf,
  day,
  defineShop,
  history,
  line,
  orderFeatures,
  orders,
  project,
  publishLines,
  putBaskets,
  readCustomers,
  setClock,
  startFeatureStore,
  startShop,
} from "./testing/shop.ts";

type Answer = Awaited<ReturnType<typeof readCustomers>>;

interface LogOptions {
  model?: string;
  /** What is logged of a value instead. */
  change?: (value: contract.FeatureValue, customer: number, feature: string) => contract.FeatureValue;
  data?: Partial<PredictionRecord>;
}

/** Logs what was read, as model-serving does, in one message. */
async function logPredictions(
  service: TestService,
  { at, position, snapshot, version, rows, features }: Answer,
  { model = "churn", change = (value) => value, data }: LogOptions = {},
): Promise<void> {
  const events = rows.map(({ entity, values }, sequence) => ({
    specversion: "1.0" as const,
    id: crypto.randomUUID(),
    source: model,
    type: EVENT_TYPE.prediction,
    time: at,
    knownat: at,
    definition: 1,
    data: {
      project,
      model,
      version: 1,
      arm: "champion",
      assigned: null,
      rerouted: null,
      shadowOf: null,
      outcome: "ok" as const,
      code: null,
      error: null,
      output: 0.5,
      probabilities: null,
      statuses: {},
      marks: {},
      request: null,
      sample: 1,
      entity,
      features: Object.fromEntries(
        features.map((name, index) => [name, change(values[index]!, Number(entity["customer_id"]), name)]),
      ),
      featuresFrom: "store" as const,
      featureService: { name: "churn", version: version! },
      position,
      snapshot,
      latencyMs: 1,
      servedAt: new Date().toISOString(),
      instance: "test",
      boot: "test",
      sequence,
      ...data,
    },
  }));
  await publishAll(service.bus, predictionMessages(events));
}

const check = async (service: TestService, since?: string) => {
  const { models: [model] } = await service.call(contract.checkConsistency, {
    predictions: 100,
    ...(since === undefined ? {} : { since }),
  });
  return model!;
};

const paid = (customer_id: number, amount: number) => ({ customer_id, amount, cancelled: false });

/** Adds one to the spend of a customer: what no record says. */
const wrongSpendOf = (wrong: number): NonNullable<LogOptions["change"]> => (value, customer, feature) =>
  customer === wrong && feature === "orders.spend" ? Number(value) + 1 : value;

Deno.test("a consistency check finds what was served to be what is computed now", async () => {
  await using service = await startShop();
  await logPredictions(service, await readCustomers(service));
  const { values, predictions, explained, unexplained, skipped, lag } = await check(service);
  assertEquals([predictions, values, skipped], [20, 20 * orderFeatures.length, 0]);
  assertEquals([explained, unexplained, lag], [0, 0, null]);
  const { checks } = await service.call(contract.listConsistencyChecks, {});
  assertEquals(checks.map(({ models }) => models[0]!.values), [values]);
  assert((await (await fetch(`${service.url}/metrics`)).text()).includes('outcome="equal"} 120'));
});

Deno.test("a consistency check counts an unexplained difference, shows it and signals it", async () => {
  await using service = await startShop();
  await logPredictions(service, await readCustomers(service), { change: wrongSpendOf(7) });
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

Deno.test("a consistency check explains a difference by records that were applied after the read, and nothing else by them", async () => {
  await using service = await startShop();
  const { state: { last_seq: last } } = await service.bus.jsm.streams.info(STREAM.clean.name);
  // A read's position may be a little older than what it sees.
  const read = await eventually(async () => {
    const answer = await readCustomers(service);
    assertEquals(answer.position, last);
    return answer;
  });
  // Customer 4 is said to have spent what no record says.
  await logPredictions(service, read, { change: wrongSpendOf(4) });
  await publishLines(service.bus, [
    line(paid(3, 100), { id: "delayed-3", at: 138, knownAt: 139 }),
    line(paid(4, 100), { id: "delayed-4", at: 138, knownAt: 139 }),
  ]);
  await eventually(async () => assertEquals((await countsOf(service)).records, 202));
  const { explained, unexplained, lag, examples } = await check(service);
  // Both customers' counts, sums, mean and time since the last; one's spend has another reason.
  assert(explained >= 8, `${explained} explained`);
  assertEquals(unexplained, 1);
  assertEquals([examples[0]?.feature, examples[0]?.entity], ["orders.spend", { customer_id: 4 }]);
  assertEquals(lag, { maxMessages: 1, medianMs: 86_400_000, maxMs: 86_400_000 });
});

Deno.test("a consistency check does not explain a difference by records that the read saw, whatever its position", async () => {
  await using service = await startShop();
  // As if nothing was acknowledged at the time of the read: its position is as low as can be.
  await logPredictions(service, { ...await readCustomers(service), position: 0 }, {
    change: wrongSpendOf(4),
  });
  const { explained, unexplained } = await check(service);
  assertEquals([explained, unexplained], [0, 1]);
});

Deno.test("a consistency check explains by a record of one source only what is computed from that source", async () => {
  await using service = await startShop();
  await service.call(contract.putView, {
    project,
    name: "visits",
    body: {
      entity: "customer",
      source: "page_views",
      features: { visits: { aggregate: "count", window: null } },
    },
  });
  await service.call(contract.putView, {
    project,
    name: "ratios",
    body: {
      entity: "customer",
      source: "page_views",
      features: { spend_a_visit: { expression: 'f["orders.spend"] / f["visits.visits"]' } },
    },
  });
  await service.call(contract.putFeatureService, {
    project,
    name: "churn",
    body: { features: ["orders.spend", "visits.visits", "ratios.spend_a_visit"] },
  });
  await publishLines(service.bus, [line({ customer_id: 3 }, { id: "visit", at: 10, source: "page_views" })]);
  await eventually(async () => assertEquals((await countsOf(service, "page_views")).records, 1));
  // Nobody has seen two visits.
  await logPredictions(service, await readCustomers(service), {
    change: (value, customer, feature) => customer === 3 && feature === "visits.visits" ? 2 : value,
  });
  await publishLines(service.bus, [line(paid(3, 100), { id: "delayed", at: 138 })]);
  await eventually(async () => assertEquals((await countsOf(service)).records, 201));
  const { explained, unexplained, examples } = await check(service);
  assertEquals(examples.map(({ feature }) => feature), ["visits.visits"]);
  assertEquals([explained, unexplained], [2, 1], "spend and spend_a_visit are explained");
});

Deno.test("a consistency check explains a difference by what was pushed after the read, and not by what was pushed before", async () => {
  await using service = await startShop();
  const push = (customer_id: number, time: string) =>
    service.call(contract.push, {
      view: "orders",
      rows: [{ entity: { customer_id }, values: { amount: 50, cancelled: false }, time }],
    });
  const readAt = async (asOf: string) => ({
    ...await service.call(contract.online, {
      features: { service: "churn" },
      entities: [{ customer_id: 5 }],
      asOf,
    }),
  });
  // What is pushed is known from day 150 on.
  await push(5, day(120));
  const read = await readAt(day(151));
  await logPredictions(service, read);
  await logPredictions(service, read, {
    change: (value, _customer, feature) => feature === "orders.spend" ? Number(value) - 50 : value,
  });
  assertEquals((await check(service)).unexplained, 1, "the first push was there to be seen");
  const since = new Date().toISOString();
  await logPredictions(service, read);
  await push(5, day(121));
  const { explained, unexplained, lag } = await check(service, since);
  assert(explained >= 1);
  assertEquals([unexplained, lag], [0, { maxMessages: 0, medianMs: 86_400_000, maxMs: 86_400_000 }]);
});

Deno.test("a consistency check explains a difference by a record that was taken back after the read", async () => {
  await using service = await startShop();
  await logPredictions(service, await readCustomers(service));
  await publishLines(service.bus, [{ ...line({}, { id: "3-0", at: 0 }), retracted: true }]);
  await eventually(async () => {
    const rows = await service.db`select from records where id = '3-0' and entity <> '' and retracted`;
    assertEquals(rows.length, 1);
  });
  const { explained, unexplained } = await check(service);
  assert(explained >= 1, `${explained} explained`);
  assertEquals(unexplained, 0);
});

Deno.test("a consistency check computes by the versions of views that were served, in force or not", async () => {
  await using service = await startShop();
  const before = await readCustomers(service);
  await logPredictions(service, before);
  const spend = { ...orders.features.spend, where: "!e.cancelled" } as const;
  await service.call(contract.putView, {
    project,
    name: "orders",
    body: { ...orders, features: { ...orders.features, spend } },
  });
  const after = await eventually(async () => {
    const read = await readCustomers(service);
    assertEquals([read.version, read.views], [2, [{ name: "orders", version: 2 }]]);
    return read;
  });
  const cancelled = after.rows.filter(({ values }, index) => values[2] !== before.rows[index]!.values[2]);
  assert(cancelled.length > 0, "the change must change something");
  await logPredictions(service, after);
  const { predictions, skipped, explained, unexplained } = await check(service);
  assertEquals([predictions, skipped, explained, unexplained], [40, 0, 0, 0]);
});

Deno.test("a consistency check computes on-demand features from the values of the request that are logged", async () => {
  await using service = await startShop();
  await putBaskets(service, {
    request: { basket: "number" },
    features: { share: { expression: 'r.basket / f["orders.spend"]' } },
  });
  await service.call(contract.putFeatureService, {
    project,
    name: "churn",
    body: { features: ["baskets.share"] },
  });
  const read = await service.call(contract.online, {
    features: { service: "churn", version: 2 },
    entities: [{ customer_id: 1 }],
    asOf: day(140),
    request: { basket: 10 },
  });
  await logPredictions(service, read, { data: { request: { basket: 10 } } });
  await logPredictions(service, read, { data: { request: { basket: 11 } } });
  await logPredictions(service, read);
  const { predictions, skipped, unexplained } = await check(service);
  assertEquals([predictions, skipped, unexplained], [2, 1, 1]);
});

Deno.test("a consistency check leaves nothing unexplained of reads that went on while events streamed into two copies", async () => {
  await using bus = await startTestBus();
  await using database = await createTestDatabase("feature-store");
  const copies = [1, 2].map(() => startFeatureStore({ bus, databaseUrl: database.url }));
  await using service = await copies[0]!;
  await using _other = await copies[1]!;
  await defineShop(service);
  await setClock(bus, day(0));
  // Every seventh comes five messages late: reads before that did not see it, and it was known by their T.
  const ordered = history(20, 60).sort((a, b) => a.time < b.time ? -1 : 1);
  const messages = Array.from({ length: ordered.length / 10 + 5 }, (): PlatformEvent[] => []);
  ordered.forEach((event, index) => {
    const late = index % 7 === 0 ? 5 : 0;
    messages[Math.floor(index / 10) + late]!.push({ ...event, knownat: event.time });
  });
  let now = day(0);
  let isStreaming = true;
  const streaming = (async () => {
    for (const events of messages) {
      now = events.reduce((newest, { time }) => time > newest ? time : newest, now);
      const headers = { [HEADER.project]: project, [HEADER.clock]: now };
      const [message] = encodeBatches(events, { subject: subject.clean("invoice_lines") });
      await publishAll(bus, [{ ...message!, headers: { ...message!.headers, ...headers } }]);
    }
    await eventually(async () => assertEquals((await countsOf(service)).records, ordered.length));
    isStreaming = false;
  })();
  const answers: Answer[] = [];
  while (isStreaming) {
    answers.push(
      await service.call(contract.online, {
        features: { service: "churn" },
        entities: Array.from({ length: 20 }, (_, customer_id) => ({ customer_id })),
      }),
    );
  }
  await streaming;
  assert(new Set(answers.map(({ snapshot }) => snapshot)).size > 5, "the reads saw different things");
  for (const answer of answers.slice(-150)) await logPredictions(service, answer);
  const { models: [model] } = await service.call(contract.checkConsistency, {
    predictions: 20,
    messages: 150,
  }, { timeoutMs: 60_000 });
  assertEquals([model!.unexplained, model!.examples], [0, []]);
  assert(model!.explained > 0, "some records were late for a read");
});

Deno.test("a consistency check leaves out what can't be compared, and looks at its time by itself", async () => {
  await using service = await startShop({ CONSISTENCY_CHECK_SECONDS: "1" });
  const read = await readCustomers(service);
  for (
    const data of [
      { snapshot: "yesterday" },
      { position: null },
      { featuresFrom: "defaults" },
      { featureService: { name: "churn", version: 7 } },
    ] as const
  ) await logPredictions(service, read, { data });
  await eventually(async () => {
    const { checks } = await service.call(contract.listConsistencyChecks, {});
    const [latest] = checks.filter(({ models }) => models.length > 0);
    const model = latest?.models[0];
    // Five of each message, unless more are asked for.
    assertEquals([latest?.actor, model?.skipped, model?.values], ["schedule", 20, 0]);
  });
});

Deno.test("a consistency check looks at messages of the model asked for, from the time asked for on", async () => {
  await using service = await startShop();
  const read = await readCustomers(service);
  for (let count = 0; count < 40; count++) await logPredictions(service, read, { model: "other" });
  for (let count = 0; count < 3; count++) await logPredictions(service, read);
  const predictionsOf = async (request: { model?: string; messages: number; since?: string }) => {
    const { models } = await service.call(contract.checkConsistency, { predictions: 1, ...request });
    return Object.fromEntries(models.map(({ model, predictions }) => [model, predictions]));
  };
  assertEquals(await predictionsOf({ model: "churn", messages: 4 }), { churn: 3 });
  const spread = await predictionsOf({ messages: 10 });
  assertEquals(spread, { other: 10 });
  const since = new Date().toISOString();
  for (let count = 0; count < 3; count++) await logPredictions(service, read);
  assertEquals(await predictionsOf({ messages: 3, since }), { churn: 3 });
});

Deno.test("parseSnapshot() sees what was committed when the snapshot was taken", () => {
  const { below, sees } = parseSnapshot("10:15:11,13")!;
  assertEquals(below, 10);
  assertEquals([9, 10, 11, 12, 13, 14, 15, 16].filter(sees), [9, 10, 12, 14]);
  assertEquals(parseSnapshot("7:7:")!.sees(7), false);
  assertEquals(parseSnapshot("7"), undefined);
});
