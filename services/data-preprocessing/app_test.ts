import { assert, assertEquals, assertRejects } from "@std/assert";
import { stageStatsSchema } from "shared/contracts/console.ts";
import * as contract from "shared/contracts/data_preprocessing.ts";
import type { PlatformEvent } from "shared/contracts/envelope.ts";
import { STREAM } from "shared/contracts/streams.ts";
import { AppError } from "shared/errors.ts";
import { startTestBus } from "shared/testing/bus.ts";
import { createTestDatabase } from "shared/testing/database.ts";
import { eventually } from "shared/testing/poll.ts";
import { storedMessages } from "shared/testing/streams.ts";
import {
  cleaned,
  cleanEvents,
  counted,
  define,
  event,
  eventuallyClean,
  ingest,
  notZero,
  sold,
  start,
} from "./testing/orders.ts";

Deno.test("data-preprocessing cleans, and hands on with project and clock", async () => {
  await using service = await start();
  await define(service);
  await ingest(service.bus, [sold("a"), sold("b", { quantity: 0 })], "2011-01-05T00:00:00.000Z");
  await counted(service, 2);
  const [message] = await eventually(async () => {
    const messages = await cleaned(service.bus);
    return messages.length > 0 && messages;
  }) as Awaited<ReturnType<typeof cleaned>>;
  const { clock, project, events } = message!;
  assertEquals({ clock, project, events }, {
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
    exploded: 0,
    clean: 2,
    filtered: 1,
    filteredBy: { "nothing sold": 1 },
    quarantined: 2,
    duplicates: 0,
    held: 0,
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
      number: 1,
      source: "orders",
      id: "c",
      time: "2011-01-01T00:00:00.000Z",
      run: null,
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
  assertEquals(clean, { ...sold("a", { quantity: "many" }), type: "microml.clean.v1", definition: 0 });
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

Deno.test("a record in which a step makes what can't be stored is quarantined by itself", async () => {
  await using service = await start();
  const { bus } = service;
  await define(service, {
    steps: [
      {
        step: "derive",
        field: "odd",
        expression: 'e.customer == 2.0 ? {"in": ["a\\u0000"]} : {"in": ["a"]}',
      },
      { step: "deduplicate", by: ["customer", "odd"], within: "PT1H" },
    ],
  });
  await ingest(bus, [sold("1"), sold("2", { customer: 2 }), sold("3", { customer: 3 })]);
  assertEquals(notZero(await counted(service, 3)), { received: 3, clean: 2, quarantined: 1 });
  await eventuallyClean(bus, ["1", "3"]);
  const { quarantined: [record] } = await service.call(contract.quarantined, { path: "/odd/in/0" });
  assertEquals([record?.id, record?.reasons], ["2", [{
    path: "/odd/in/0",
    message: "holds the character U+0000, which cannot be stored",
  }]]);
  assertEquals((await bus.jsm.streams.info(STREAM.deadletter.name)).state.messages, 0);
});
