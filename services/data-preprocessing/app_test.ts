import { assert, assertEquals, assertRejects } from "@std/assert";
import type { z } from "zod";
import { decodeBatch, encodeBatches } from "shared/bus/batch.ts";
import type { Bus } from "shared/bus/connection.ts";
import { publishAll } from "shared/bus/publisher.ts";
import * as contract from "shared/contracts/data_preprocessing.ts";
import { stageStatsSchema } from "shared/contracts/console.ts";
import { HEADER, type PlatformEvent } from "shared/contracts/envelope.ts";
import { STREAM } from "shared/contracts/streams.ts";
import { AppError } from "shared/errors.ts";
import { startTestBus } from "shared/testing/bus.ts";
import { crashPointSuite } from "shared/testing/crash_points.ts";
import { createTestDatabase } from "shared/testing/database.ts";
import { eventually } from "shared/testing/poll.ts";
import { startTestService, type TestService, type TestServiceOptions } from "shared/testing/service.ts";
import { storedMessages } from "shared/testing/streams.ts";
import { createApp } from "./app.ts";
import { configSchema } from "./config.ts";

const start = (options?: TestServiceOptions) =>
  startTestService("data-preprocessing", configSchema, createApp, options);

const CLEANING: z.input<typeof contract.cleaningBodySchema> = {
  steps: [
    { step: "cast", fields: ["quantity", "price"], to: "number" },
    { step: "derive", field: "amount", expression: "e.quantity * e.price" },
    { step: "filter", expression: "e.quantity != 0", reason: "nothing sold" },
  ],
  expectations: [
    { expect: "not_null", fields: ["customer"], action: "quarantine" },
    { expect: "range", field: "price", min: 0, action: "quarantine" },
    { expect: "range", field: "quantity", max: 100, action: "warn" },
  ],
};

const define = (service: TestService, body = CLEANING) =>
  service.call(contract.putCleaning, { project: "shop", name: "orders", body });

const event = (id: string, data: Record<string, unknown>): PlatformEvent => ({
  specversion: "1.0",
  id,
  source: "orders",
  type: "microml.ingested.v1",
  time: "2011-01-01T00:00:00.000Z",
  knownat: "2011-01-02T00:00:00.000Z",
  definition: 7,
  data,
});
const sold = (id: string, more: Record<string, unknown> = {}) =>
  event(id, { quantity: "2", price: "1.5", customer: 1, ...more });

/** Each call is a message of its own. */
const ingest = (bus: Bus, events: readonly PlatformEvent[], clock = "2011-01-01T00:00:00.000Z") =>
  publishAll(
    bus,
    encodeBatches(events, {
      subject: "ingested.orders",
      headers: { [HEADER.project]: "shop", [HEADER.clock]: clock },
    }).map((message) => ({ ...message, messageId: crypto.randomUUID() })),
  );

async function cleaned(bus: Bus) {
  const messages = await storedMessages(bus, STREAM.clean.name);
  return messages.map(({ seq, subject, data, header }) => ({
    clock: header?.get(HEADER.clock),
    project: header?.get(HEADER.project),
    events: decodeBatch({
      subject,
      name: "orders",
      stream: "CLEAN",
      sequence: seq,
      data,
      headers: {},
      receivedAt: "2026-01-01T00:00:00.000Z",
      redelivered: false,
    }),
  }));
}
const cleanEvents = async (bus: Bus) => (await cleaned(bus)).flatMap(({ events }) => events);

const counted = (service: TestService, received: number) =>
  eventually(async () => {
    const { sources: [counts] } = await service.call(contract.counts, { source: "orders" });
    assertEquals(counts?.received, received);
    return counts!;
  });

Deno.test("data-preprocessing cleans, and hands on with project and clock", async () => {
  await using service = await start();
  await define(service);
  await ingest(service.bus, [sold("a"), sold("b", { quantity: 0 })], "2011-01-05T00:00:00.000Z");
  await counted(service, 2);
  assertEquals(await eventually(async () => (await cleaned(service.bus))[0]), {
    clock: "2011-01-05T00:00:00.000Z",
    project: "shop",
    events: [{
      ...event("a", { quantity: 2, price: 1.5, customer: 1, amount: 3 }),
      type: "microml.clean.v1",
      definition: 1,
    }],
  });
});

Deno.test("data-preprocessing counts each outcome, and keeps what it quarantines with all reasons", async () => {
  await using service = await start();
  await define(service);
  await ingest(service.bus, [
    sold("a"),
    sold("b", { quantity: "0" }),
    sold("c", { quantity: "many", price: -1, customer: null }),
    sold("d", { quantity: 101 }),
    sold("e", { customer: null }),
  ]);
  assertEquals(await counted(service, 5), {
    source: "orders",
    received: 5,
    clean: 2,
    filtered: 1,
    filteredBy: { "nothing sold": 1 },
    quarantined: 2,
    duplicates: 0,
    warned: 1,
  });
  await eventually(async () => {
    const reply = await service.bus.nc.request("$SRV.STATS.data-preprocessing");
    const { endpoints: [first] } = reply.json<{ endpoints: { data: unknown }[] }>();
    assertEquals(stageStatsSchema.parse(first?.data).handled, 5);
  });
  const first = await service.call(contract.quarantined, { source: "orders", limit: 1 });
  assertEquals(first.quarantined.map(({ id }) => id), ["e"]);
  const second = await service.call(contract.quarantined, { limit: 1, after: first.next! });
  assertEquals(second, {
    quarantined: [{
      source: "orders",
      id: "c",
      time: "2011-01-01T00:00:00.000Z",
      data: { quantity: "many", price: -1, customer: null },
      reasons: [
        { path: "/quantity", message: 'must be a number such as 2.55 or 1e-3, not "many"' },
        { path: "/customer", message: "must not be null" },
        { path: "/price", message: "must be at least 0, not -1" },
      ],
    }],
    next: null,
  });
  await assertRejects(
    () => service.call(contract.quarantined, { after: "x" }),
    AppError,
    'must be the "next" of a page',
  );
});

Deno.test("data-preprocessing lets a source without a cleaning pass through", async () => {
  await using service = await start();
  await ingest(service.bus, [sold("a", { quantity: "many" })]);
  assertEquals((await counted(service, 1)).clean, 1);
  const [clean] = await eventually(async () => {
    const events = await cleanEvents(service.bus);
    return events.length > 0 && events;
  }) as PlatformEvent[];
  assertEquals(clean, { ...sold("a", { quantity: "many" }), type: "microml.clean.v1" });
});

Deno.test("data-preprocessing cleans an event once, whatever message brings it again", async () => {
  await using service = await start();
  await define(service);
  await ingest(service.bus, [sold("a"), sold("b")]);
  await counted(service, 2);
  await define(service, { steps: [] });
  await ingest(service.bus, [sold("b"), sold("c"), sold("c")]);
  const counts = await counted(service, 5);
  assertEquals({ clean: counts.clean, duplicates: counts.duplicates }, { clean: 3, duplicates: 2 });
  await eventually(async () =>
    assertEquals((await cleanEvents(service.bus)).map(({ id, definition }) => `${id} v${definition}`), [
      "a v1",
      "b v1",
      "c v2",
    ])
  );
});

Deno.test("data-preprocessing moves a message that is no batch to the dead letters, and goes on", async () => {
  await using service = await start();
  await define(service);
  service.bus.nc.publish("ingested.orders", "not a batch");
  await ingest(service.bus, [sold("a")]);
  assertEquals((await counted(service, 1)).clean, 1);
  const [letter] = await eventually(async () => {
    const letters = await storedMessages(service.bus, STREAM.deadletter.name);
    return letters.length > 0 && letters;
  }) as { subject: string; data: Uint8Array }[];
  assertEquals(letter?.subject, "deadletter.data-preprocessing.INGESTED.orders");
  assertEquals(new TextDecoder().decode(letter?.data), "not a batch");
});

Deno.test("data-preprocessing refuses a cleaning with every mistake in it", async () => {
  await using service = await start();
  const refusal = await assertRejects(
    () =>
      define(service, {
        steps: [{ step: "derive", field: "x", expression: "e.a +" }],
        expectations: [{ expect: "pattern", field: "a", pattern: "(", action: "warn" }],
      }),
    AppError,
  );
  assertEquals(refusal.reasons.map(({ path }) => path), ["/steps/0", "/expectations/0"]);
  assert(refusal.message.startsWith("Cannot use the cleaning"));
});

Deno.test("data-preprocessing loses and doubles nothing with two copies", async () => {
  await using bus = await startTestBus();
  await using database = await createTestDatabase("data-preprocessing");
  const copy = { bus, databaseUrl: database.url, env: { INTAKE_MESSAGES: "3" } };
  await using first = await start(copy);
  await using second = await start(copy);
  await define(first);
  for (let batch = 0; batch < 60; batch++) {
    await ingest(bus, [sold(`a-${batch % 50}`), sold(`b-${batch % 50}`, { quantity: 0 })]);
  }
  const { clean, filtered, duplicates } = await counted(second, 120);
  assertEquals({ clean, filtered, duplicates }, { clean: 50, filtered: 50, duplicates: 20 });
  await eventually(async () => {
    const ids = (await cleanEvents(bus)).map(({ id }) => id);
    assertEquals({ events: ids.length, different: new Set(ids).size }, { events: 50, different: 50 });
  });
});

crashPointSuite({
  name: "data-preprocessing",
  input: { stream: STREAM.ingested, durable: "data-preprocessing" },
  setUp: async () => await createTestDatabase("data-preprocessing"),
  async publish(bus, database) {
    {
      await using service = await start({ bus, databaseUrl: database.url });
      await define(service);
    }
    await ingest(bus, [sold("a"), sold("b", { quantity: 0 }), sold("c", { customer: null })]);
    await ingest(bus, [sold("a"), sold("d")]);
  },
  start: (bus, database) => start({ bus, databaseUrl: database.url }),
  async expectOnce(bus, { db }) {
    const rows = await db`select clean, filtered, quarantined, duplicates from counts`;
    assertEquals([...rows], [{ clean: 2, filtered: 1, quarantined: 1, duplicates: 1 }]);
    const [kept] = await db`
      select (select count(*) from quarantined) as quarantined, (select count(*) from seen_events) as seen`;
    assertEquals({ ...kept }, { quarantined: 1, seen: 4 });
    const keys = (await cleanEvents(bus)).map(({ id, definition }) => `${id} v${definition}`);
    assertEquals([...new Set(keys)].sort(), ["a v1", "d v1"]);
  },
});
