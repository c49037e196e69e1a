import { assertEquals } from "@std/assert";
import * as contract from "shared/contracts/data_ingestion.ts";
import type { Bus } from "shared/bus/connection.ts";
import { ensureTopology } from "shared/bus/topology.ts";
import { STREAM } from "shared/contracts/streams.ts";
import { addToLedger, ledgerEntries } from "./repository/ledger.ts";
import { startTestBus } from "shared/testing/bus.ts";
import { createTestDatabase } from "shared/testing/database.ts";
import { eventually } from "shared/testing/poll.ts";
import { startTestService, type TestService, type TestServiceOptions } from "shared/testing/service.ts";
import { everythingIsAcknowledged } from "shared/testing/streams.ts";
import { createApp } from "./app.ts";
import { configSchema } from "./config.ts";
import { countByPeriod } from "./pending.ts";

const start = (options?: TestServiceOptions) =>
  startTestService("data-ingestion", configSchema, createApp, options);

const define = (service: TestService, body: Record<string, unknown> = {}) =>
  service.call(contract.putSource, {
    project: "shop",
    name: "orders",
    body: { kind: "events", schema: { required: ["quantity"] }, id: ["id"], compatibility: "none", ...body },
  });

const publish = (bus: Bus, payload: unknown) => bus.nc.publish("events.orders", JSON.stringify(payload));

const settled = (bus: Bus) =>
  eventually(() => everythingIsAcknowledged(bus, { stream: STREAM.events, durable: "data-ingestion" }));

type Counts = Partial<contract.LedgerRow>;

const rowsOf = async (service: TestService, request: Parameters<typeof service.call>[1] = {}) =>
  (await service.call(contract.ledger, request as Record<string, never>)).sources;

const row = (counts: Counts): contract.LedgerRow => ({
  source: "orders",
  accepted: 0,
  pending: 0,
  stored: 0,
  rejected: 0,
  duplicates: 0,
  deadLettered: 0,
  balanced: true,
  ...counts,
});

Deno.test("ledger counts by source and by day of arrival, and tells when it does not balance", async () => {
  await using service = await start();
  const day = (source: string, day: string, records: number) => ({ source, day, records });
  await service.db.begin((tx) =>
    addToLedger(
      tx,
      ledgerEntries({
        received: [
          day("orders", "2026-03-01", 5),
          day("orders", "2026-03-02", 4),
          day("clicks", "2026-03-01", 1),
        ],
        stored: [
          day("orders", "2026-03-01", 3),
          day("orders", "2026-03-02", 2),
          day("clicks", "2026-03-01", 1),
        ],
        rejected: [day("orders", "2026-03-01", 2), day("orders", "2026-03-02", 1)],
        deadLettered: [day("orders", "2026-03-02", 7)],
      }),
    )
  );
  const first = row({ accepted: 5, stored: 3, rejected: 2 });
  // One record has come to no end.
  const second = row({ accepted: 11, stored: 2, rejected: 1, deadLettered: 7, balanced: false });
  const clicks = row({ source: "clicks", accepted: 1, stored: 1 });
  assertEquals(await rowsOf(service), [
    clicks,
    row({ accepted: 16, stored: 5, rejected: 3, deadLettered: 7, balanced: false }),
  ]);
  assertEquals(await rowsOf(service, { by: "day", source: "orders" }), [
    { ...first, day: "2026-03-01" },
    { ...second, day: "2026-03-02" },
  ]);
  assertEquals(await rowsOf(service, { to: "2026-03-01" }), [clicks, first]);
  assertEquals(await rowsOf(service, { from: "2026-03-02", by: "day" }), [{ ...second, day: "2026-03-02" }]);

  const page = (after?: string) =>
    service.call(contract.ledger, { by: "day", limit: 2, ...(after === undefined ? {} : { after }) });
  const { sources, next } = await page();
  assertEquals(sources, [{ ...clicks, day: "2026-03-01" }, { ...first, day: "2026-03-01" }]);
  assertEquals(await page(next!), { sources: [{ ...second, day: "2026-03-02" }], next: null });
});

Deno.test("ledger shows by day what waits in EVENTS", async () => {
  await using bus = await startTestBus();
  await using database = await createTestDatabase("data-ingestion");
  await using service = await start({ bus, databaseUrl: database.url });
  await define(service);
  await database.db.begin(async (tx) => {
    await tx`lock table ledger in exclusive mode`;
    for (let id = 1; id <= 3; id++) publish(bus, { id, quantity: 1 });
    const rows = await eventually(async () => {
      const rows = await rowsOf(service, { by: "day" });
      assertEquals(rows.reduce((sum, { pending }) => sum + pending, 0), 3);
      return rows;
    });
    assertEquals(rows.every(({ day, balanced }) => day !== undefined && balanced), true);
    assertEquals(await rowsOf(service, { by: "day", to: "2020-01-01" }), []);
  });
});

Deno.test("countByPeriod() counts a span of the stream by when its messages arrived", async () => {
  await using bus = await startTestBus();
  const times: string[] = [];
  for (let number = 1; number <= 6; number++) {
    const { seq } = await bus.js.publish(number === 2 ? "events.clicks" : "events.orders", `${number}`);
    const { timestamp } = (await bus.jsm.streams.getMessage("EVENTS", { seq }))!;
    times.push(timestamp);
  }
  const periods = [
    { name: "before", start: "2020-01-01T00:00:00.000Z" },
    { name: "from the third", start: times[2]! },
    { name: "from the fifth", start: times[4]! },
    { name: "later", start: "2120-01-01T00:00:00.000Z" },
  ];
  assertEquals(await countByPeriod(bus, "orders", { span: { first: 1, last: 6 }, periods }), [
    { name: "before", messages: 1 },
    { name: "from the third", messages: 2 },
    { name: "from the fifth", messages: 2 },
  ]);
  assertEquals(await countByPeriod(bus, "orders", { span: { first: 4, last: 5 }, periods }), [
    { name: "from the third", messages: 1 },
    { name: "from the fifth", messages: 1 },
  ]);
  assertEquals(await countByPeriod(bus, "clicks", { span: { first: 3, last: 6 }, periods }), []);
});

Deno.test("ledger stays exact when a durable made anew brings everything again, to a source that has changed", async () => {
  await using bus = await startTestBus();
  await using database = await createTestDatabase("data-ingestion");
  const counted = row({ accepted: 5, stored: 3, rejected: 1, duplicates: 1 });
  {
    await using service = await start({ bus, databaseUrl: database.url });
    await define(service);
    publish(bus, [{ id: "a", quantity: 1 }, { id: "a", quantity: 2 }, { id: "b" }]);
    publish(bus, { id: "c", quantity: 1 });
    publish(bus, { id: "d", quantity: 1 });
    await settled(bus);
    assertEquals(await rowsOf(service), [counted]);
    // What was rejected may come in now, and what was stored would have another id.
    await define(service, { schema: {}, id: ["id", "quantity"], secrets: {} });
  }
  await bus.jsm.consumers.delete("EVENTS", "data-ingestion");
  await ensureTopology(bus);
  await using service = await start({ bus, databaseUrl: database.url });
  await settled(bus);
  assertEquals(await rowsOf(service), [counted]);

  // Under the eyes of a running service, too.
  await bus.jsm.consumers.delete("EVENTS", "data-ingestion");
  await ensureTopology(bus);
  publish(bus, { id: "e", quantity: 1 });
  await settled(bus);
  assertEquals(await rowsOf(service), [row({ ...counted, accepted: 6, stored: 4 })]);
});

Deno.test("ledger goes on with a stream made anew, whose sequences begin again", async () => {
  await using bus = await startTestBus();
  await using service = await start({ bus });
  await define(service);
  publish(bus, { id: "a", quantity: 1 });
  publish(bus, { id: "b" });
  await settled(bus);
  await bus.jsm.streams.delete("EVENTS");
  await ensureTopology(bus);
  publish(bus, { id: "c" });
  publish(bus, { id: "a", quantity: 1 });
  publish(bus, { id: "d", quantity: 1 });
  await settled(bus);
  await eventually(async () =>
    assertEquals(await rowsOf(service), [row({ accepted: 5, stored: 2, rejected: 2, duplicates: 1 })])
  );
});
