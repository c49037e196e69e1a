import { assert, assertEquals, assertRejects } from "@std/assert";
import { Kvm } from "@nats-io/kv";
import { headers as createHeaders } from "nats";
import type { z } from "zod";
import { decodeBatch } from "shared/bus/batch.ts";
import type { Bus } from "shared/bus/connection.ts";
import * as contract from "shared/contracts/data_ingestion.ts";
import { stageStatsSchema } from "shared/contracts/console.ts";
import { HEADER, type PlatformEvent } from "shared/contracts/envelope.ts";
import type { sourceBodySchema } from "shared/contracts/source.ts";
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
  startTestService("data-ingestion", configSchema, createApp, options);

const ORDERS: z.input<typeof sourceBodySchema> = {
  kind: "events",
  schema: {
    type: "object",
    required: ["order", "quantity", "at"],
    properties: { order: { type: "string" }, quantity: { type: "integer" } },
  },
  id: ["order"],
  time: "at",
};

const order = (number: number, more: Record<string, unknown> = {}) => ({
  order: `o-${number}`,
  quantity: number,
  at: `2011-01-${String(1 + number % 28).padStart(2, "0")}T00:00:00.000Z`,
  ...more,
});

async function define(service: TestService, options: { clock?: contract.ClockKind } = {}): Promise<void> {
  const { clock = "event" } = options;
  await service.call(contract.putProject, { project: "shop", name: "shop", body: { clock } });
  await service.call(contract.putSource, { project: "shop", name: "orders", body: ORDERS });
}

/** As `nats pub` does: no headers, no acknowledgement. */
const pub = (bus: Bus, payload: unknown, source = "orders") =>
  bus.nc.publish(`events.${source}`, typeof payload === "string" ? payload : JSON.stringify(payload));

async function ledgerOf(service: TestService, source = "orders"): Promise<contract.LedgerRow | undefined> {
  const { sources } = await service.call(contract.ledger, { source });
  return sources[0];
}

const settled = (service: TestService, accepted: number, source = "orders") =>
  eventually(async () => {
    const row = await ledgerOf(service, source);
    assertEquals({ accepted: row?.accepted, pending: row?.pending }, { accepted, pending: 0 });
    return row!;
  });

/** What was handed on, in order, with the headers of each message. */
async function ingested(bus: Bus): Promise<{ events: PlatformEvent[]; headers: (string | undefined)[][] }> {
  const messages = await storedMessages(bus, STREAM.ingested.name);
  return {
    events: messages.flatMap(({ seq, subject, data }) =>
      decodeBatch({
        subject,
        name: "orders",
        stream: "INGESTED",
        sequence: seq,
        data,
        headers: {},
        receivedAt: "2026-01-01T00:00:00.000Z",
        redelivered: false,
      })
    ),
    headers: messages.map(({ header }) => [header?.get(HEADER.project), header?.get(HEADER.clock)]),
  };
}

Deno.test("data-ingestion stores a plain event and hands it on with the project's clock", async () => {
  await using service = await start();
  await define(service);
  pub(service.bus, order(3));
  assertEquals(await settled(service, 1), {
    source: "orders",
    accepted: 1,
    pending: 0,
    stored: 1,
    rejected: 0,
    duplicates: 0,
    deadLettered: 0,
    balanced: true,
  });
  const { events, headers } = await ingested(service.bus);
  const [{ knownat, ...event }] = events as [PlatformEvent];
  assertEquals(event, {
    specversion: "1.0",
    id: "o-3",
    source: "orders",
    type: "microml.ingested.v1",
    time: "2011-01-04T00:00:00.000Z",
    definition: 1,
    data: order(3),
  });
  assert(knownat > "2020");
  assertEquals(headers, [["shop", "2011-01-04T00:00:00.000Z"]]);
  const rows = await service.db`select source, id, definition, sequence, position, data from events`;
  assertEquals([...rows], [
    { source: "orders", id: "o-3", definition: 1, sequence: 1, position: 0, data: order(3) },
  ]);
});

Deno.test("data-ingestion rejects what is wrong, with payload and all reasons, and goes on", async () => {
  await using service = await start();
  await define(service);
  pub(service.bus, '{"order": "o-1", ');
  pub(service.bus, order(2), "ordres");
  pub(service.bus, { order: "o-3", at: "2011-01-01" });
  pub(service.bus, order(4, { quantity: "four" }));
  pub(service.bus, order(5, { at: "3000-01-01T00:00:00Z", quantity: 0.5 }));
  pub(service.bus, order(6));
  const row = await settled(service, 5);
  assertEquals({ stored: row.stored, rejected: row.rejected }, { stored: 1, rejected: 4 });
  assertEquals((await settled(service, 1, "ordres")).rejected, 1);

  const { rejected, next } = await service.call(contract.rejected, {});
  assertEquals(next, null);
  assertEquals(
    rejected.toReversed().map(({ source, origin, payload, reasons }) => ({
      source,
      origin,
      payload,
      reasons: reasons.map(({ path, message }) => `${path} ${message}`.slice(0, 45)),
    })),
    [
      {
        source: "orders",
        origin: "EVENTS/1/0",
        payload: '{"order": "o-1", ',
        reasons: [" must be JSON: Expected double-quoted propert"],
      },
      {
        source: "ordres",
        origin: "EVENTS/2/0",
        payload: order(2),
        reasons: [' comes from the source "ordres", which is not'],
      },
      {
        source: "orders",
        origin: "EVENTS/3/0",
        payload: { order: "o-3", at: "2011-01-01" },
        reasons: ["/quantity must be there"],
      },
      {
        source: "orders",
        origin: "EVENTS/4/0",
        payload: order(4, { quantity: "four" }),
        reasons: ['/quantity must be integer, not "four"'],
      },
      {
        source: "orders",
        origin: "EVENTS/5/0",
        payload: order(5, { at: "3000-01-01T00:00:00Z", quantity: 0.5 }),
        reasons: ["/quantity must be integer, not 0.5", "/at lies in the future: 3000-01-01T00:00:00.0"],
      },
    ],
  );
  assertEquals((await ingested(service.bus)).events.map(({ id }) => id), ["o-6"]);
});

Deno.test("data-ingestion pages through rejected records, newest first", async () => {
  await using service = await start();
  await define(service);
  for (let number = 1; number <= 5; number++) pub(service.bus, `broken ${number}`);
  pub(service.bus, `"${"x".repeat(600_000)}"`);
  await settled(service, 6);
  const first = await service.call(contract.rejected, { source: "orders", limit: 3 });
  assertEquals(first.rejected.length, 1);
  const second = await service.call(contract.rejected, { source: "orders", limit: 3, after: first.next! });
  assertEquals(second.rejected.map(({ payload }) => payload), ["broken 5", "broken 4", "broken 3"]);
  const third = await service.call(contract.rejected, { source: "orders", limit: 3, after: second.next! });
  assertEquals(third.rejected.map(({ payload }) => payload), ["broken 2", "broken 1"]);
  assertEquals(third.next, null);
  await assertRejects(
    () => service.call(contract.rejected, { after: "first" }),
    AppError,
    'must be the "next" of a page',
  );
});

Deno.test("data-ingestion takes CloudEvents: structured, binary, and in a batch", async () => {
  await using service = await start();
  await define(service);
  const { nc } = service.bus;
  const envelope = (id: string) => ({ specversion: "1.0", id, source: "/tills/4", type: "order" });
  pub(service.bus, { ...envelope("a"), data: order(1) });
  const binary = createHeaders();
  for (const [name, value] of Object.entries(envelope("b"))) binary.set(`ce-${name}`, value);
  nc.publish("events.orders", JSON.stringify(order(2)), { headers: binary });
  const batch = createHeaders();
  batch.set("Content-Type", "application/cloudevents-batch+json");
  nc.publish(
    "events.orders",
    JSON.stringify([{ ...envelope("c"), data: order(3) }, { ...envelope("d"), data: { order: "o-4" } }]),
    { headers: batch },
  );
  const row = await settled(service, 4);
  assertEquals({ stored: row.stored, rejected: row.rejected }, { stored: 3, rejected: 1 });
  assertEquals((await ingested(service.bus)).events.map(({ id, data }) => [id, data["order"]]), [
    ["a", "o-1"],
    ["b", "o-2"],
    ["c", "o-3"],
  ]);
  const { rejected } = await service.call(contract.rejected, {});
  assertEquals(rejected[0]?.origin, "EVENTS/3/1");
});

Deno.test("data-ingestion counts duplicates, keeps the first, and hands it on once", async () => {
  await using service = await start();
  await define(service);
  pub(service.bus, [order(1), order(1, { quantity: 100 })]);
  await settled(service, 2);
  pub(service.bus, order(1, { quantity: 200 }));
  const row = await settled(service, 3);
  assertEquals({ stored: row.stored, duplicates: row.duplicates }, { stored: 1, duplicates: 2 });
  assertEquals((await ingested(service.bus)).events.map(({ data }) => data["quantity"]), [1]);
  await eventually(async () => {
    const reply = await service.bus.nc.request("$SRV.STATS.data-ingestion");
    const { endpoints: [first] } = reply.json<{ endpoints: { data: unknown }[] }>();
    const { lag, deadLetters, handled } = stageStatsSchema.parse(first?.data);
    assertEquals({ lag, deadLetters, handled }, {
      lag: 0,
      deadLetters: 0,
      handled: 3,
    });
  });
});

Deno.test("data-ingestion rejects what comes by a subject that ends in no name", async () => {
  await using service = await start();
  await define(service);
  const odd = Array.from({ length: 3_000 }, (_, n) => String.fromCharCode(65 + n * n * 7 % 26)).join("");
  pub(service.bus, order(1), odd);
  pub(service.bus, order(1));
  assertEquals((await settled(service, 1)).stored, 1);
  const { rejected } = await eventually(async () => {
    const page = await service.call(contract.rejected, {});
    return page.rejected.length > 0 && page;
  }) as { rejected: { source: string }[] };
  assertEquals(rejected.map(({ source }) => source), [odd.slice(0, 255)]);
});

Deno.test("data-ingestion keeps the order and the id of events that have no id of their own", async () => {
  await using service = await start();
  await service.call(contract.putSource, {
    project: "shop",
    name: "logs",
    body: { kind: "logs", schema: { type: "object" } },
  });
  pub(service.bus, { line: 1 }, "logs");
  pub(service.bus, { line: 1 }, "logs");
  const row = await settled(service, 2, "logs");
  assertEquals(row.stored, 2);
  assertEquals((await ingested(service.bus)).events.map(({ id }) => id), ["EVENTS/1/0", "EVENTS/2/0"]);
});

Deno.test("data-ingestion moves an event clock with the newest event, and tells the bucket", async () => {
  await using service = await start();
  await define(service);
  const kv = await new Kvm(service.bus.js).open("clocks");
  const clock = async () => (await kv.get("shop"))?.json<contract.ProjectClock>();
  pub(service.bus, order(9));
  await eventually(async () => assertEquals((await clock())?.now, order(9).at));
  pub(service.bus, order(4));
  await settled(service, 2);
  pub(service.bus, order(12));
  await eventually(async () =>
    assertEquals(await clock(), { project: "shop", kind: "event", now: order(12).at })
  );
  const { headers } = await ingested(service.bus);
  assertEquals(headers.map(([, at]) => at), [order(9).at, order(9).at, order(12).at]);

  await define(service, { clock: "wall" });
  await eventually(async () => assertEquals((await clock())?.kind, "wall"));
});

Deno.test("data-ingestion tells of the wall clock of a project that has sources and no definition", async () => {
  await using service = await start();
  await service.call(contract.putSource, { project: "shop", name: "orders", body: ORDERS });
  const kv = await new Kvm(service.bus.js).open("clocks");
  const clock = await eventually(async () => (await kv.get("shop"))?.json<contract.ProjectClock>() ?? false);
  assertEquals([clock.project, clock.kind], ["shop", "wall"]);
});

Deno.test("data-ingestion refuses definitions it could not use, and sources of other projects", async () => {
  await using service = await start();
  await define(service);
  const put = (body: typeof ORDERS, project = "shop") =>
    service.call(contract.putSource, { project, name: "orders", body });
  await assertRejects(
    () => put({ ...ORDERS, schema: { properties: { order: { pattern: "(?=x)" } } } }),
    AppError,
    "Cannot use the JSON Schema",
  );
  await assertRejects(() => put(ORDERS, "bank"), AppError, 'belongs to the project "shop"');
  assertEquals(await put({ ...ORDERS, schema: {} }), { version: 2, changed: true });
  pub(service.bus, { order: "o-1", at: "2011-01-01" });
  assertEquals((await settled(service, 1)).stored, 1);
  assertEquals((await ingested(service.bus)).events[0]?.definition, 2);
});

Deno.test("storeEvent answers when the event is durable, or with every reason", async () => {
  await using service = await start();
  await define(service);
  const store = (event: Record<string, unknown>, source = "orders") =>
    service.call(contract.storeEvent, { source, event });
  assertEquals(await store(order(1)), { id: "o-1", status: "stored" });
  assertEquals(await store(order(1)), { id: "o-1", status: "duplicate" });
  const refusal = await assertRejects(() => store({ order: "o-2", quantity: "two" }), AppError);
  assertEquals(refusal.code, "invalid");
  assertEquals(refusal.reasons.map(({ path }) => path), ["/at", "/quantity", "/at"]);
  await assertRejects(() => store(order(3), "ordres"), AppError, 'the source "ordres", which is not defined');
  // Handed on from the outbox.
  await eventually(async () =>
    assertEquals((await ingested(service.bus)).events.map(({ id }) => id), ["o-1"])
  );
  const row = await settled(service, 3);
  assertEquals({ stored: row.stored, duplicates: row.duplicates, rejected: row.rejected }, {
    stored: 1,
    duplicates: 1,
    rejected: 1,
  });
  const { rejected } = await service.call(contract.rejected, { source: "orders" });
  assert(rejected[0]?.origin.startsWith("STORE/"));
});

Deno.test("storeEvent answers a repeated request as the first time, and counts it once", async () => {
  await using service = await start();
  await service.call(contract.putSource, {
    project: "shop",
    name: "logs",
    body: { kind: "logs", schema: { type: "object" } },
  });
  const store = () =>
    service.call(contract.storeEvent, { source: "logs", event: { line: 1 } }, { idempotencyKey: "k-1" });
  assertEquals(await store(), { id: "k-1", status: "stored" });
  assertEquals(await store(), { id: "k-1", status: "stored" });
  assertEquals((await settled(service, 1, "logs")).stored, 1);
});

Deno.test("data-ingestion counts what waits in EVENTS as pending", async () => {
  await using bus = await startTestBus();
  await using database = await createTestDatabase("data-ingestion");
  {
    await using service = await start({ bus, databaseUrl: database.url });
    await define(service);
    pub(bus, order(1));
    await settled(service, 1);
    // Nothing is consumed while the table of events is locked.
    await database.db.begin(async (tx) => {
      await tx`lock table event_keys in access exclusive mode`;
      for (let number = 2; number <= 6; number++) pub(bus, order(number));
      pub(bus, order(1), "unheard-of");
      await bus.nc.flush();
      const row = await eventually(async () => {
        const found = await ledgerOf(service);
        assertEquals(found?.pending, 5);
        return found!;
      });
      assertEquals({ accepted: row.accepted, stored: row.stored }, { accepted: 6, stored: 1 });
      assertEquals((await ledgerOf(service, "unheard-of"))?.pending, 1);
    });
    assertEquals((await settled(service, 6)).stored, 6);
  }
});

Deno.test("data-ingestion loses and doubles nothing with two copies", async () => {
  await using bus = await startTestBus();
  await using database = await createTestDatabase("data-ingestion");
  await using first = await start({ bus, databaseUrl: database.url, env: { INTAKE_MESSAGES: "7" } });
  await using second = await start({ bus, databaseUrl: database.url, env: { INTAKE_MESSAGES: "7" } });
  await define(first);
  for (let number = 0; number < 300; number++) pub(bus, order(number % 200));
  const row = await settled(second, 300);
  assertEquals({ stored: row.stored, duplicates: row.duplicates }, { stored: 200, duplicates: 100 });
  const ids = (await ingested(bus)).events.map(({ id }) => id);
  assertEquals(new Set(ids).size, 200);
});

crashPointSuite({
  name: "data-ingestion",
  input: { stream: STREAM.events, durable: "data-ingestion" },
  setUp: async () => await createTestDatabase("data-ingestion"),
  async publish(bus, database) {
    await using service = await start({ bus, databaseUrl: database.url });
    await define(service);
    await service.stop();
    pub(bus, [order(1), order(2), order(2), { order: "o-3" }]);
    pub(bus, "broken");
    pub(bus, order(4));
    await bus.nc.flush();
  },
  start: (bus, database) => start({ bus, databaseUrl: database.url }),
  async expectOnce(bus, { db }) {
    const rows = await db`select sum(stored)::int as stored, sum(rejected)::int as rejected,
      sum(duplicates)::int as duplicates from ledger`;
    assertEquals([...rows], [{ stored: 3, rejected: 2, duplicates: 1 }]);
    const [counts] = await db`
      select (select count(*) from events) as events, (select count(*) from event_keys) as keys,
        (select count(*) from rejected) as rejected, (select count(*) from duplicates) as duplicates`;
    assertEquals({ ...counts }, { events: 3, keys: 3, rejected: 2, duplicates: 1 });
    const { events } = await ingested(bus);
    assertEquals(new Set(events.map(({ id, definition }) => `${id} ${definition}`)).size, 3);
  },
});
