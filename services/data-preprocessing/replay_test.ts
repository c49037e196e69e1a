import { assert, assertEquals } from "@std/assert";
import { publishAll } from "shared/bus/publisher.ts";
import { STREAM } from "shared/contracts/streams.ts";
import { startTestBus } from "shared/testing/bus.ts";
import { crashPointSuite } from "shared/testing/crash_points.ts";
import { createTestDatabase } from "shared/testing/database.ts";
import { eventually } from "shared/testing/poll.ts";
import { everythingIsAcknowledged } from "shared/testing/streams.ts";
import {
  at,
  cleaned,
  cleanEvents,
  CLEANING,
  type CleaningInput,
  counted,
  declareSource,
  define,
  event,
  eventuallyClean,
  ingest,
  notZero,
  replay,
  sold,
  start,
} from "./testing/orders.ts";

const REPLAY = { stream: STREAM.replay, durable: "data-preprocessing" };

const PRODUCTS = { kind: "entities" as const, schema: {}, id: ["sku"] };
/** Every step and expectation that remembers. */
const REMEMBERING: CleaningInput = {
  steps: [
    { step: "enrich", from: "products", by: ["sku"], take: { price: "price" } },
    { step: "explode", field: "lines", into: "line" },
    { step: "deduplicate", by: ["sku", "line"], within: "PT1H" },
  ],
  expectations: [{ expect: "unique", fields: ["line"], within: "PT1H", action: "quarantine" }],
};

const price = (sku: string, amount: number, cleaned = {}) =>
  event(`${sku}@1`, { sku, price: amount, ...cleaned }, {
    source: "products",
    subject: sku,
    time: at("08:00"),
    knownat: at("08:00"),
  });
const order = (id: string, time: string, sku: string, lines: number[]) =>
  event(id, { sku, lines }, { time: at(time) });

Deno.test("a replay to all is handed on under its run, beside the live flow", async () => {
  await using service = await start();
  const { bus } = service;
  await define(service);
  const events = [sold("a"), sold("b", { quantity: 0 }), sold("c", { customer: null })];
  await ingest(bus, events);
  await counted(service, 3);
  await define(service, { ...CLEANING, expectations: [] });
  await replay(bus, events, { run: "r1" });
  assertEquals(notZero(await counted(service, 3, { run: "r1" })), { received: 3, clean: 2, filtered: 1 });
  assertEquals(notZero(await counted(service, 3)), { received: 3, clean: 1, filtered: 1, quarantined: 1 });
  await eventually(async () =>
    assertEquals(
      (await cleaned(bus)).map(({ run, events }) => [
        run,
        ...events.map(({ id, definition, retracted }) =>
          `${id} v${definition}${retracted ? " retracted" : ""}`
        ),
      ]),
      [["", "a v1"], ["r1", "a v2", "b v2 retracted", "c v2"]],
    )
  );
});

Deno.test("a replay to all retracts what its cleaning makes nothing of, items and states of entities included", async () => {
  await using service = await start();
  const { bus, db } = service;
  await declareSource(bus, "products", PRODUCTS);
  const products = [price("A", 1), price("B", 2)];
  await define(service, {}, "products");
  await ingest(bus, products);
  await counted(service, 2, { source: "products" });
  await define(
    service,
    { steps: [{ step: "filter", expression: 'e.sku == "A"', reason: "other" }] },
    "products",
  );
  await replay(bus, products, { run: "p1" });
  await counted(service, 2, { source: "products", run: "p1" });
  assertEquals(
    (await db`select entity, cleaning from entity_states`).map(({ entity, cleaning }) => [entity, cleaning]),
    [
      ["A", 2],
    ],
  );

  const events = [
    order("1", "09:00", "A", [1, 2]),
    order("2", "09:10", "A", [3]),
    order("3", "09:20", "A", []),
  ];
  await define(service, {});
  await ingest(bus, events);
  await counted(service, 3);
  await define(service, {
    steps: [{ step: "explode", field: "lines", into: "line" }, {
      step: "filter",
      expression: "e.line != 2",
      reason: "two",
    }],
  });
  await replay(bus, events, { run: "r1" });
  await counted(service, 3, { run: "r1" });
  await eventually(async () => {
    const told = (await cleaned(bus)).filter(({ run }) => run === "r1").flatMap(({ events }) => events);
    assertEquals(
      told.map(({ id, definition, retracted = false, data }) => [id, definition, retracted, data]),
      [
        ["1", 2, true, {}],
        ["1#0", 2, false, { sku: "A", line: 1 }],
        ["1#1", 2, true, {}],
        ["2", 2, true, {}],
        ["2#0", 2, false, { sku: "A", line: 3 }],
        ["3", 2, true, {}],
      ],
    );
  });
});

Deno.test("a replay is cleaned to its end by the cleaning with which it began", async () => {
  await using service = await start();
  const { bus } = service;
  await define(service, { steps: [{ step: "derive", field: "by", expression: "1" }] });
  await replay(bus, [sold("a")], { run: "r1" });
  await counted(service, 1, { run: "r1" });
  await define(service, { steps: [{ step: "derive", field: "by", expression: "2" }] });
  await replay(bus, [sold("b")], { run: "r1" });
  await replay(bus, [sold("b")], { run: "r2" });
  await ingest(bus, [sold("b")]);
  await eventuallyClean(
    bus,
    ["a v1 1", "b v1 1", "b v2 2", "b v2 2"],
    ({ id, definition, data }) => `${id} v${definition} ${data["by"]}`,
  );
});

Deno.test("a replay to data-preprocessing is counted and quarantined, and not handed on; one to others is left alone", async () => {
  await using service = await start();
  const { bus, db } = service;
  await define(service, { expectations: [{ expect: "not_null", fields: ["customer"], action: "block" }] });
  await replay(bus, [sold("a"), sold("b", { customer: null }), sold("c")], {
    run: "r1",
    to: "data-preprocessing",
  });
  await replay(bus, [sold("a")], { run: "r2", to: "consumer" });
  // A block is for what comes live.
  assertEquals(notZero(await counted(service, 3, { run: "r1" })), { received: 3, clean: 2, quarantined: 1 });
  await eventually(() => everythingIsAcknowledged(bus, REPLAY));
  assertEquals((await db`select run, id from quarantined`).map(({ run, id }) => `${run} ${id}`), ["r1 b"]);
  assertEquals((await db`select run, source from counts`).map(({ run, source }) => `${run} ${source}`), [
    "r1 orders",
  ]);
  assertEquals([...await db`select from blocks`, ...await db`select from outbox`, ...await cleaned(bus)], []);
});

Deno.test("the same replay twice gives the same bytes, whatever came live meanwhile", async () => {
  await using service = await start();
  const { bus } = service;
  await declareSource(bus, "products", PRODUCTS);
  await define(service, REMEMBERING);
  await ingest(bus, [price("A", 1), price("B", 2)]);
  await counted(service, 2, { source: "products" });
  const messages = [
    [order("1", "09:00", "A", [1, 2]), order("2", "09:30", "A", [2, 3])],
    [order("3", "09:45", "B", [3, 4]), order("4", "11:00", "A", [1])],
  ];
  // Later by event time: nothing of it must be remembered for the replays.
  await ingest(bus, [order("0", "08:59", "A", [1])]);
  await counted(service, 1);
  for (const run of ["r1", "r2"]) {
    for (const events of messages) await replay(bus, events, { run });
    await ingest(bus, messages[1]!.map((one) => ({ ...one, id: `${one.id} ${run}` })));
    assertEquals(notZero(await counted(service, 4, { run })), {
      ...{ received: 4, exploded: 3, clean: 5 },
      ...{ filtered: 1, quarantined: 1 },
    });
  }
  await eventually(async () => {
    const bodies = Map.groupBy(await cleaned(bus), ({ run }) => run);
    assertEquals(bodies.get("r1")?.length, 2);
    assertEquals(bodies.get("r1")?.map(({ body }) => body), bodies.get("r2")?.map(({ body }) => body));
    assertEquals(
      bodies.get("r1")!.flatMap(({ events }) => events).filter(({ retracted }) => !retracted).map((
        { id, data },
      ) => `${id} ${data["price"]}`),
      ["1#0 1", "1#1 1", "2#1 1", "3#1 2", "4#0 1"],
    );
  });
});

Deno.test("a replay by a newer cleaning replaces the states of entities", async () => {
  await using service = await start();
  const { bus, db } = service;
  await declareSource(bus, "products", PRODUCTS);
  await define(
    service,
    { steps: [{ step: "derive", field: "price", expression: "e.price * 10" }] },
    "products",
  );
  await ingest(bus, [price("A", 1)]);
  await counted(service, 1, { source: "products" });
  await define(service, {}, "products");
  for (const run of ["r1", "r2"]) {
    await replay(bus, [price("A", run === "r1" ? 1 : 2)], { run });
    await counted(service, 1, { source: "products", run });
  }
  // Of one cleaning the first that was made stays.
  const states = await db`select cleaning, data->>'price' as price from entity_states`;
  assertEquals([...states], [{ cleaning: 2, price: "1" }]);
});

Deno.test("replays are one copy's turn, and the next one's when it is gone", async () => {
  await using bus = await startTestBus();
  await using database = await createTestDatabase("data-preprocessing");
  const copy = { bus, databaseUrl: database.url };
  await using first = await start(copy);
  await using second = await start(copy);
  await define(first);
  const holders = async () => (await database.db`select holder from leases where name = 'replays'`).length;
  await replay(bus, [sold("a")], { run: "r1" });
  await counted(second, 1, { run: "r1" });
  assertEquals(await holders(), 1);
  await first.stop();
  await replay(bus, [sold("b")], { run: "r1" });
  await counted(second, 2, { run: "r1" });
  await eventuallyClean(bus, ["a", "b"]);
});

Deno.test("a replay keeps its order when a copy died with some of it in its hands", async () => {
  await using bus = await startTestBus({ topology: { ackWaitMs: 1_000 } });
  await using database = await createTestDatabase("data-preprocessing");
  {
    await using service = await start({ bus, databaseUrl: database.url });
    await define(service, { steps: [{ step: "deduplicate", by: ["sku"], within: "PT1H" }] });
  }
  const taken = await bus.js.consumers.get(REPLAY.stream.name, REPLAY.durable);
  await replay(bus, [order("1", "09:00", "A", [])], { run: "r1" });
  assert(await taken.next({ expires: 5_000 }) !== null);
  await replay(bus, [order("2", "09:30", "A", [])], { run: "r1" });
  await using service = await start({ bus, databaseUrl: database.url });
  assertEquals(notZero(await counted(service, 2, { run: "r1" })), { received: 2, clean: 1, filtered: 1 });
  await eventuallyClean(bus, ["1"]);
});

Deno.test("single events of INGESTED and REPLAY that are none are set aside by themselves", async () => {
  await using service = await start();
  const { bus } = service;
  await define(service);
  const headers = { "Microml-Run": "r1", "Microml-Replay-To": "all" };
  const data = new TextEncoder().encode(JSON.stringify([sold("a"), { ...sold("b"), time: "yesterday" }]));
  await publishAll(bus, [
    { subject: "ingested.orders", data, messageId: "1" },
    { subject: "replay.r1.orders", data, messageId: "2", headers },
  ]);
  await counted(service, 1);
  await counted(service, 1, { run: "r1" });
  await eventually(async () => {
    const stats = await bus.jsm.streams.info(STREAM.deadletter.name, { subjects_filter: ">" });
    assertEquals(Object.keys(stats.state.subjects ?? {}).sort(), [
      "deadletter.data-preprocessing.INGESTED.orders",
      "deadletter.data-preprocessing.REPLAY.orders",
    ]);
  });
});

for (const [name, live] of [["that remembers", true], ["that remembers, in a replay,", false]] as const) {
  crashPointSuite({
    name: `data-preprocessing with a cleaning ${name}`,
    input: live ? { stream: STREAM.ingested, durable: "data-preprocessing" } : REPLAY,
    setUp: async () => await createTestDatabase("data-preprocessing"),
    async publish(bus, database) {
      const bring: typeof ingest = live ? ingest : (bus, events) => replay(bus, events, { run: "r1" });
      {
        await using service = await start({ bus, databaseUrl: database.url });
        await declareSource(bus, "products", PRODUCTS);
        await define(service, REMEMBERING);
        await ingest(bus, [price("A", 1)]);
        await counted(service, 1, { source: "products" });
      }
      await bring(bus, [order("1", "09:00", "A", [1, 2]), order("2", "09:30", "B", [2, 3])]);
      await bring(bus, [order("2", "09:30", "B", [2, 3]), order("3", "09:45", "A", [2, 4])]);
    },
    start: (bus, database) => start({ bus, databaseUrl: database.url }),
    async expectOnce(bus, { db }) {
      const rows = await db`
        select clean, filtered, quarantined, duplicates, exploded from counts where source = 'orders'`;
      // Each of 1, 2 and 3 became two; of line 2 the second is not unique, and the third a duplicate of the first.
      assertEquals([...rows], [{ clean: 4, filtered: 1, quarantined: 1, duplicates: 1, exploded: 3 }]);
      const [kept] = await db`
        select (select count(*) from quarantined) as quarantined, (select count(*) from used_keys) as keys,
          (select count(*) from cleaned_events) as seen`;
      assertEquals({ ...kept }, { quarantined: 1, keys: 10, seen: 4 });
      const keys = (await cleanEvents(bus)).map(({ id, data }) => `${id} ${data["price"]}`);
      assertEquals([...new Set(keys)].sort(), ["1#0 1", "1#1 1", "2#1 null", "3#1 1"]);
    },
  });
}
