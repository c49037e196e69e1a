import { assert, assertEquals, assertRejects } from "@std/assert";
import * as contract from "shared/contracts/feature_store.ts";
import { AppError } from "shared/errors.ts";
import { readTrainingSet } from "shared/training_set_file.ts";
import { createTestDatabase } from "shared/testing/database.ts";
import { eventually } from "shared/testing/poll.ts";
import type { TestService } from "shared/testing/service.ts";
import { startTestBus } from "shared/testing/bus.ts";
import {
  countsOf,
  DAY,
  day,
  defineShop,
  history,
  line,
  MONDAY,
  orderFeatures,
  project,
  publishLines,
  setClock,
  startFeatureStore,
} from "./testing/shop.ts";
import { build as buildAsked, ended, load, type TrainingSetAsked } from "./testing/training_set.ts";

const request = {
  project,
  entity: "customer",
  featureService: { name: "churn" },
  spine: { source: "invoice_lines", where: "!e.cancelled", every: "P7D", activeWithin: "P14D" },
  label: { source: "invoice_lines", aggregate: "exists", where: "!e.cancelled", within: "P7D" },
} as const;

const build = (service: Pick<TestService, "call">, changes: Partial<TrainingSetAsked> = {}) =>
  buildAsked(service, { ...request, ...changes });

async function startWithHistory(customers: number, linesOfEach: number): Promise<TestService> {
  const service = await startFeatureStore();
  await defineShop(service);
  await publishLines(service.bus, history(customers, linesOfEach));
  await eventually(async () => assertEquals((await countsOf(service)).records, customers * linesOfEach));
  await setClock(service.bus, day(140));
  return service;
}

Deno.test("a training set holds what an online read at T gives, row by row", async () => {
  await using service = await startWithHistory(15, 12);
  const status = await build(service);
  const table = await load(service, status);
  const { entities, times, features } = table;
  assert(entities.length > 50, `only ${entities.length} rows`);
  assertEquals(features.map(({ name }) => name), orderFeatures);
  for (const [at, rows] of Map.groupBy(entities.keys(), (row) => times[row]!)) {
    const read = await service.call(contract.online, {
      features: { service: "churn" },
      entities: rows.map((row) => ({ customer_id: JSON.parse(entities[row]!)[0] })),
      asOf: new Date(at).toISOString(),
    });
    assertEquals(
      rows.map((row) => features.map(({ values }) => Number.isNaN(values[row]!) ? null : values[row]!)),
      read.rows.map(({ values }) => values),
      new Date(at).toISOString(),
    );
  }
});

Deno.test("a training set has a row for each active customer at each tick, ordered, with its label", async () => {
  await using service = await startWithHistory(30, 12);
  const { entities, times, labels } = await load(service, await build(service));
  const events = history(30, 12).filter(({ data }) => data["cancelled"] === false).map((event) => ({
    key: `["${event.data["customer_id"]}"]`,
    time: Date.parse(event.time),
    knownAt: Date.parse(event.knownat),
  }));
  const expected: string[] = [];
  const keys = [...new Set(events.map(({ key }) => key))].sort();
  for (let at = MONDAY; at <= MONDAY + 140 * DAY; at += 7 * DAY) {
    for (const key of keys) {
      const own = events.filter((event) => event.key === key);
      const active = own.some(({ time, knownAt }) => time <= at && knownAt <= at && time > at - 14 * DAY);
      if (!active) continue;
      const label = at + 7 * DAY > MONDAY + 140 * DAY
        ? NaN
        : Number(own.some(({ time }) => time > at && time <= at + 7 * DAY));
      expected.push(`${at} ${key} ${label}`);
    }
  }
  assertEquals(entities.map((key, row) => `${times[row]} ${key} ${labels[row]}`), expected);
});

Deno.test("a training set tells what it was made of, and how many rows are immature", async () => {
  await using service = await startWithHistory(5, 30);
  const { result, progress } = await build(service, { from: day(20), to: day(139) });
  const { entities, labels, times } = await readTrainingSet(await service.bus.files.get(result!.sha256));
  assertEquals(progress, 1);
  assertEquals(result!.rows, entities.length);
  assertEquals(result!.immature, labels.filter(Number.isNaN).length);
  const eventTimes = history(5, 30).map(({ time }) => time).sort();
  const range = { from: eventTimes[0]!, to: eventTimes.at(-1)! };
  assertEquals(result!.manifest, {
    featureService: { name: "churn", version: 1 },
    views: [{ name: "orders", version: 1 }],
    features: orderFeatures,
    leads: await leadsOf(service, { entities, times }),
    from: new Date(times[0]!).toISOString(),
    to: new Date(times.at(-1)!).toISOString(),
    clock: day(140),
    asKnown: "then",
    sources: { invoice_lines: { records: 150, from: range.from, to: range.to } },
    position: result!.manifest.position,
  });
  assert(result!.manifest.position > 0);
  assert(times[0]! >= MONDAY + 21 * DAY && times.at(-1)! <= MONDAY + 133 * DAY);
});

/** By feature, as online reads at each T tell the event times. */
async function leadsOf(
  service: TestService,
  { entities, times }: { entities: readonly string[]; times: Float64Array },
): Promise<Record<string, number>> {
  const leads = orderFeatures.map(() => -Infinity);
  for (const [at, rows] of Map.groupBy(entities.keys(), (row) => times[row]!)) {
    const read = await service.call(contract.online, {
      features: { service: "churn" },
      entities: rows.map((row) => ({ customer_id: JSON.parse(entities[row]!)[0] })),
      asOf: new Date(at).toISOString(),
    });
    for (const { eventTimes } of read.rows) {
      eventTimes.forEach((time, feature) => {
        if (time !== null) leads[feature] = Math.max(leads[feature]!, Date.parse(time) - at);
      });
    }
  }
  assert(leads.every((lead) => lead <= 0), "a feature knew what had not happened");
  return Object.fromEntries(orderFeatures.map((feature, index) => [feature, leads[index]!]));
}

Deno.test("a training set has the same bytes each time, whatever the order in which events came", async () => {
  await using service = await startWithHistory(12, 20);
  await using other = await startFeatureStore();
  await defineShop(other);
  const events = history(12, 20);
  await publishLines(other.bus, events.filter((_, index) => index % 3 === 0).reverse());
  await publishLines(other.bus, events.filter((_, index) => index % 3 !== 0).reverse());
  await eventually(async () => assertEquals((await countsOf(other)).records, 240));
  await setClock(other.bus, day(140));

  const hashes = new Set<string>();
  for (const store of [service, service, other]) hashes.add((await build(store)).result!.sha256);
  assertEquals(hashes.size, 1);
});

Deno.test("a training set keeps its features when later events come in", async () => {
  await using service = await startWithHistory(12, 20);
  const until = { to: day(70) };
  const before = await load(service, await build(service, until));
  await publishLines(service.bus, [
    ...Array.from(
      { length: 12 },
      (_, customer) =>
        line({ customer_id: customer, amount: 1e6, cancelled: false }, { id: `late-${customer}`, at: 80 }),
    ),
    ...Array.from(
      { length: 12 },
      (_, customer) =>
        line({ customer_id: customer, amount: 1e6, cancelled: false }, {
          id: `news-${customer}`,
          at: 30,
          knownAt: 75,
        }),
    ),
  ]);
  await eventually(async () => assertEquals((await countsOf(service)).records, 264));
  const after = await load(service, await build(service, until));
  assertEquals(after.features, before.features);
  assertEquals([after.entities, after.times], [before.entities, before.times]);
});

Deno.test("a training set sums outcomes", async () => {
  await using service = await startFeatureStore();
  await defineShop(service);
  await publishLines(service.bus, [
    line({ customer_id: 1, amount: 1, cancelled: false }, { id: "1", at: 0 }),
    line({ customer_id: 1, amount: 2.5, cancelled: false }, { id: "2", at: 3 }),
    line({ customer_id: 1, amount: 4, cancelled: false }, { id: "3", at: 7 }),
  ]);
  await eventually(async () => assertEquals((await countsOf(service)).records, 3));
  await setClock(service.bus, day(14));
  const label = { source: "invoice_lines", aggregate: "sum", field: "amount", within: "P7D" } as const;
  const { labels } = await load(service, await build(service, { label }));
  assertEquals([...labels], [6.5, 0, NaN]);
});

Deno.test("a training set may be empty", async () => {
  await using service = await startFeatureStore();
  await defineShop(service);
  const status = await build(service);
  assertEquals((await load(service, status)).entities, []);
  assertEquals([status.result!.manifest.from, status.result!.manifest.to], [null, null]);
});

Deno.test("a training set that can't be built says why", async () => {
  await using service = await startFeatureStore();
  await defineShop(service);
  const refusals: [Record<string, unknown>, string][] = [
    [{ featureService: { name: "none" } }, 'no feature service "none"'],
    [{ entity: "product" }, 'no entity "product"'],
    [{ spine: { ...request.spine, source: "visits" } }, 'no view of the entity "customer" reads that source'],
    [{ spine: { ...request.spine, every: "P0D" } }, "/spine/every must be longer than nothing"],
    [{ label: { ...request.label, where: "e.(" } }, "Cannot compile the expression"],
  ];
  for (const [change, expected] of refusals) {
    const error = await assertRejects(
      () => service.call(contract.buildTrainingSet, { ...request, ...change }),
      AppError,
    );
    assert(error.message.includes(expected), error.message);
  }
});

Deno.test("a training set asked for again under the same key is the same one", async () => {
  await using service = await startFeatureStore();
  await defineShop(service);
  const ask = () => service.call(contract.buildTrainingSet, request, { idempotencyKey: "churn-1" });
  assertEquals((await ask()).id, (await ask()).id);
});

Deno.test("a training set whose builder is gone is built again, but not for ever", async () => {
  await using bus = await startTestBus();
  await using database = await createTestDatabase("feature-store");
  const env = { TRAINING_SET_LEASE_SECONDS: "1" };
  await using service = await startFeatureStore({ bus, databaseUrl: database.url, env });
  await defineShop(service);
  const { id } = await service.call(contract.buildTrainingSet, request);
  await ended(service, id);
  // As a builder leaves it that was killed in the middle of its work.
  await database.db`
    update training_sets set status = 'running', result = null, lease = gen_random_uuid(), progress = 0.4,
      leased_until = now() + interval '0.3 s' where id = ${id}`;
  assertEquals((await ended(service, id)).status, "done");
  // One that its builders died of again and again is given up.
  await database.db`
    update training_sets set status = 'running', result = null, lease = gen_random_uuid(), attempts = 3,
      leased_until = now() where id = ${id}`;
  const givenUp = await ended(service, id);
  assert(givenUp.error?.includes("3 builders ended while they worked on it"), givenUp.error ?? "no error");
});
