import { assert, assertEquals, assertRejects } from "@std/assert";
import { publishAll } from "shared/bus/publisher.ts";
import { stageStatsSchema } from "shared/contracts/console.ts";
import * as contract from "shared/contracts/feature_store.ts";
import { AppError } from "shared/errors.ts";
import { startTestBus } from "shared/testing/bus.ts";
import { createTestDatabase } from "shared/testing/database.ts";
import { eventually } from "shared/testing/poll.ts";
import { storedMessages } from "shared/testing/streams.ts";
import {
  countsOf,
  day,
  defineShop,
  line,
  orders,
  project,
  publishLines,
  setClock,
  startFeatureStore,
} from "./testing/shop.ts";

Deno.test("feature-store gives the features of a customer at T from clean events", async () => {
  await using service = await startFeatureStore();
  await defineShop(service);
  await publishLines(service.bus, [
    line({ customer_id: 17850, amount: 10, cancelled: false }, { id: "1", at: 0 }),
    line({ customer_id: 17850, amount: 20, cancelled: false }, { id: "2", at: 5 }),
    line({ customer_id: 17850, amount: 30, cancelled: true }, { id: "3", at: 6 }),
    line({ customer_id: 17850, amount: 99, cancelled: false }, { id: "4", at: 30 }),
    line({ customer_id: 17850, amount: 50, cancelled: false }, { id: "5", at: 7, knownAt: 31 }),
    line({ customer_id: 12, amount: 1, cancelled: false }, { id: "6", at: 7 }),
  ]);
  await eventually(async () => assertEquals((await countsOf(service)).records, 6));

  const read = await service.call(contract.online, {
    features: { service: "churn" },
    entities: [{ customer_id: 17850 }, { customer_id: 12 }, { customer_id: 404 }],
    asOf: day(8),
  });
  assertEquals(read.version, 1);
  assertEquals(read.at, day(8));
  const [known, other, unknown] = read.rows;
  assertEquals(
    Object.fromEntries(read.features.map((name, index) => [name, known!.values[index]])),
    {
      "orders.lines_30d": 2,
      "orders.spend_30d": 30,
      "orders.spend": 60,
      "orders.deviation": Math.sqrt(50),
      "orders.since_last": 2,
      "orders.mean_30d": 15,
    },
  );
  assertEquals(known!.eventTimes, [day(5), day(5), day(6), day(6), day(6), day(5)]);
  assertEquals(other!.statuses, ["PRESENT", "PRESENT", "PRESENT", "NULL", "PRESENT", "PRESENT"]);
  assertEquals(new Set(unknown!.statuses), new Set(["NOT_FOUND"]));
  assertEquals(new Set(unknown!.values), new Set([null]));
});

Deno.test("feature-store counts an event once, as the newest cleaning made it, whichever comes last", async () => {
  await using service = await startFeatureStore();
  await defineShop(service);
  // 0: no cleaning did.
  for (const [definition, amount] of [[0, 1], [2, 20], [1, 10]] as const) {
    await publishLines(service.bus, [
      line({ customer_id: 7, amount, cancelled: false }, { id: "1", at: 0, definition }),
    ]);
  }
  await eventually(async () => assertEquals((await countsOf(service)).records, 3));
  const { features, rows: [row] } = await service.call(contract.online, {
    features: { service: "churn" },
    entities: [{ customer_id: 7 }],
    asOf: day(1),
  });
  const value = (name: string) => row!.values[features.indexOf(name)];
  assertEquals([value("orders.lines_30d"), value("orders.spend")], [1, 20]);
});

Deno.test("feature-store counts a retracted event no more, also when an older version comes late", async () => {
  await using service = await startFeatureStore();
  await defineShop(service);
  const version = (id: string, definition: number) =>
    line({ customer_id: 7, amount: 10, cancelled: false }, { id, at: 0, definition });
  const retracted = (id: string, definition: number) =>
    ({ ...version(id, definition), data: {}, retracted: true }) as const;
  await publishLines(service.bus, [version("1", 1), version("2", 1), version("3", 3), version("4", 1)]);
  await publishLines(service.bus, [retracted("1", 2), retracted("3", 2), retracted("4", 2)]);
  await publishLines(service.bus, [version("1", 1), version("4", 3)]);
  await publishLines(service.bus, [retracted("unknown", 2), version("5", 1)]);
  await eventually(async () => assertEquals((await countsOf(service)).received, 7));
  assertEquals(await countsOf(service).then(({ records, duplicates }) => ({ records, duplicates })), {
    records: 6,
    duplicates: 1,
  });
  const { features, rows: [row] } = await service.call(contract.online, {
    features: { service: "churn" },
    entities: [{ customer_id: 7 }],
    asOf: day(1),
  });
  // 2, 3, 4 and 5: of 3 what was retracted is older, and 4 was made again by a newer cleaning.
  assertEquals(row!.values[features.indexOf("orders.lines_30d")], 4);
});

Deno.test("feature-store reads features named one by one over HTTP, at the project's clock", async () => {
  await using service = await startFeatureStore();
  await defineShop(service);
  await publishLines(service.bus, [
    line({ customer_id: 1, amount: 2, cancelled: false }, { id: "1", at: 0 }),
  ]);
  await eventually(async () => assertEquals((await countsOf(service)).records, 1));
  await setClock(service.bus, day(3));

  const read = await eventually(async () => {
    const response = await fetch(`${service.url}/v1/features/online`, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({
        features: ["orders.since_last", "orders.spend"],
        entities: [{ customer_id: "1" }],
      }),
    });
    assertEquals(response.status, 200);
    const reply = await response.json();
    assertEquals(reply.at, day(3));
    return reply;
  });
  assertEquals(read.version, null);
  assertEquals(read.rows[0].values, [3, 2]);
});

Deno.test("feature-store stamps a read with the position that it had applied", async () => {
  await using service = await startFeatureStore();
  await defineShop(service);
  const request = { features: ["orders.spend"], entities: [{ customer_id: 1 }], asOf: day(50) };
  for (const id of ["1", "2", "3"]) {
    await publishLines(service.bus, [line({ customer_id: 1, amount: 1, cancelled: false }, { id, at: 0 })]);
  }
  const read = await eventually(async () => {
    const read = await service.call(contract.online, request);
    assertEquals(read.position, 3);
    return read;
  });
  assertEquals(read.rows[0]!.values, [3]);
});

Deno.test("feature-store counts every clean event once, and sets aside what it can't take", async () => {
  await using service = await startFeatureStore();
  await defineShop(service);
  const paid = { customer_id: 7, amount: 1, cancelled: false };
  await publishLines(service.bus, [
    line(paid, { id: "1", at: 0 }),
    line(paid, { id: "1", at: 0 }),
    line(paid, { id: "2", at: 0 }),
    line({ ...paid, customer_id: null }, { id: "3", at: 0 }),
    line({ ...paid, customer_id: 1.5 }, { id: "4", at: 0 }),
    line({ ...paid, note: "a\u0000b" }, { id: "5", at: 0 }),
    line({ ...paid, note: "a\\u0000b" }, { id: "6", at: 0 }),
    line({ message: "started" }, { id: "1", at: 0, source: "logs" }),
  ]);
  // The same event in another message is a duplicate, in another version it is a record.
  await publishLines(service.bus, [line(paid, { id: "2", at: 0 }), line(paid, { id: "9", at: 0 })]);
  await publishLines(service.bus, [line({ ...paid, amount: 5 }, { id: "2", at: 0, definition: 2 })]);

  await eventually(async () =>
    assertEquals(await countsOf(service), {
      received: 10,
      records: 5,
      unused: 0,
      duplicates: 2,
      refused: 3,
    })
  );
  assertEquals((await countsOf(service, "logs")).unused, 1);
  await eventually(async () => {
    const reply = await service.bus.nc.request("$SRV.STATS.feature-store");
    const { endpoints: [first] } = reply.json<{ endpoints: { data: unknown }[] }>();
    assertEquals(stageStatsSchema.parse(first?.data).handled, 11);
  });

  const letters = await eventually(async () => {
    const letters = await storedMessages(service.bus, "DEADLETTER");
    assertEquals(letters.length, 2);
    return letters;
  });
  assertEquals(letters.map(({ subject }) => subject), [
    "deadletter.feature-store.CLEAN.invoice_lines",
    "deadletter.feature-store.CLEAN.invoice_lines",
  ]);
  assertEquals(letters.map((letter) => letter.json<{ id: string }[]>().map(({ id }) => id)), [["4"], ["5"]]);

  const { rows } = await service.call(contract.online, {
    features: ["orders.spend"],
    entities: [{ customer_id: 7 }],
    asOf: day(1),
  });
  // Events 1, 2 (in its second version), 6 and 9.
  assertEquals(rows[0]!.values, [8]);
});

Deno.test("feature-store moves a message that holds no events to the dead letters", async () => {
  await using service = await startFeatureStore();
  await defineShop(service);
  const data = new TextEncoder().encode("not JSON");
  await publishAll(service.bus, [{ subject: "clean.invoice_lines", data, messageId: "broken" }]);
  await publishLines(service.bus, [line({ customer_id: 7, amount: 1 }, { id: "1", at: 0 })]);
  await eventually(async () => assertEquals((await countsOf(service)).records, 1));
  await eventually(async () => assertEquals((await storedMessages(service.bus, "DEADLETTER")).length, 1));
});

Deno.test("feature-store refuses definitions that do not fit each other", async () => {
  await using service = await startFeatureStore();
  const noEntity = await assertRejects(
    () => service.call(contract.putView, { project, name: "orders", body: orders }),
    AppError,
  );
  assertEquals([noEntity.code, noEntity.reasons[0]?.path], ["invalid", "/entity"]);
  await defineShop(service);
  const noFeature = await assertRejects(
    () =>
      service.call(contract.putFeatureService, { project, name: "x", body: { features: ["orders.nope"] } }),
    AppError,
  );
  assert(noFeature.message.includes('is "orders.nope": the view has'), noFeature.message);
});

Deno.test("feature-store reads a feature service in the version asked for", async () => {
  await using service = await startFeatureStore();
  await defineShop(service);
  const changed = await service.call(contract.putFeatureService, {
    project,
    name: "churn",
    body: { features: ["orders.spend"] },
  });
  assertEquals(changed, { version: 2, changed: true });
  const read = (version?: number) =>
    service.call(contract.online, {
      features: { service: "churn", ...(version && { version }) },
      entities: [{ customer_id: 1 }],
      asOf: day(0),
    });
  assertEquals((await read()).features, ["orders.spend"]);
  assertEquals((await read(1)).features.length, 6);
  assertEquals((await assertRejects(() => read(3), AppError)).code, "not_found");
});

Deno.test("feature-store names the key of an entity that is asked for wrongly", async () => {
  await using service = await startFeatureStore();
  await defineShop(service);
  const ask = (features: string[], entity: Record<string, string>) =>
    assertRejects(() => service.call(contract.online, { features, entities: [entity] }), AppError);
  const wrong = await ask(["orders.spend"], { customer: "17850" });
  assertEquals(wrong.code, "invalid");
  assert(wrong.message.includes("customer_id (integer)"), wrong.message);
  assertEquals((await ask(["visits.count"], { customer_id: "1" })).code, "not_found");
});

Deno.test("feature-store describes several entities by one source, and joins views of several sources", async () => {
  await using service = await startFeatureStore();
  await defineShop(service);
  await service.call(contract.putEntity, { project, name: "product", body: { keys: { code: "string" } } });
  const count = { aggregate: "count", window: "P7D" } as const;
  await service.call(contract.putView, {
    project,
    name: "sales",
    body: { entity: "product", source: "invoice_lines", features: { lines: count } },
  });
  await service.call(contract.putView, {
    project,
    name: "visits",
    body: { entity: "customer", source: "visits", ttl: "P10D", features: { visits: count } },
  });
  await publishLines(service.bus, [
    line({ customer_id: 1, code: "A", amount: 3, cancelled: false }, { id: "1", at: 0 }),
    line({ customer_id: 2, code: "A", amount: 3, cancelled: false }, { id: "2", at: 1 }),
    line({ code: "B", amount: 3, cancelled: false }, { id: "3", at: 1 }),
    line({ customer_id: 1 }, { id: "1", at: 1, source: "visits" }),
  ]);
  await eventually(async () => {
    assertEquals((await countsOf(service)).records, 3);
    assertEquals((await countsOf(service, "visits")).records, 1);
  });
  const { rows } = await service.call(contract.online, {
    features: ["visits.visits", "sales.lines", "orders.spend"],
    entities: [{ customer_id: 1, code: "A" }, { customer_id: 2, code: "B" }],
    asOf: day(2),
  });
  assertEquals(rows.map(({ values }) => values), [[1, 2, 3], [null, 1, 3]]);
  const later = await service.call(contract.online, {
    features: ["visits.visits"],
    entities: [{ customer_id: 1 }],
    asOf: day(12),
  });
  assertEquals(later.rows[0]!.statuses, ["EXPIRED"]);
});

Deno.test("feature-store takes each event once when two copies share the stream", async () => {
  await using bus = await startTestBus();
  await using database = await createTestDatabase("feature-store");
  await using first = await startFeatureStore({ bus, databaseUrl: database.url });
  await using _second = await startFeatureStore({
    bus,
    databaseUrl: database.url,
    env: { INSTANCE: "second" },
  });
  await defineShop(first);
  const events = Array.from(
    { length: 300 },
    (_, index) => line({ customer_id: index % 7, amount: 1, cancelled: false }, { id: String(index), at: 0 }),
  );
  for (const event of events) await publishLines(bus, [event]);
  await eventually(async () =>
    assertEquals(await countsOf(first), { received: 300, records: 300, unused: 0, duplicates: 0, refused: 0 })
  );
  const { rows } = await first.call(contract.online, {
    features: ["orders.spend"],
    entities: Array.from({ length: 7 }, (_, index) => ({ customer_id: index })),
    asOf: day(1),
  });
  assertEquals(rows.map(({ values }) => values[0]), [43, 43, 43, 43, 43, 43, 42]);
});
