import { assertEquals, assertRejects } from "@std/assert";
import { AppError } from "shared/errors.ts";
import { startTestBus } from "shared/testing/bus.ts";
import { createTestDatabase } from "shared/testing/database.ts";
import {
  at,
  type CleaningInput,
  counted,
  declareSource,
  define,
  event,
  eventuallyClean,
  ingest,
  notZero,
  start,
} from "./testing/orders.ts";

const PRODUCTS = { kind: "entities" as const, schema: {}, id: ["sku"] };

const state = (id: string, sku: string, time: string, data: Record<string, unknown>, known = time) =>
  event(`${id}@${at(time)}`, { sku, ...data }, {
    source: "products",
    subject: sku,
    time: at(time),
    knownat: at(known),
  });

const ENRICH: CleaningInput = {
  steps: [
    { step: "enrich", from: "products", by: ["sku"], take: { price: "unit_price", name: "product" } },
    { step: "derive", field: "amount", expression: "e.unit_price * e.quantity" },
  ],
};

const order = (id: string, time: string, data: Record<string, unknown>) =>
  event(id, data, { time: at(time) });

Deno.test("enrich takes the state of an entity as it was, and was known, at the event's time", async () => {
  await using service = await start();
  const { bus } = service;
  await declareSource(bus, "products", PRODUCTS);
  await define(service, ENRICH);
  await define(service, { steps: [{ step: "cast", fields: ["price"], to: "number" }] }, "products");
  await ingest(bus, [
    // By event time, not by arrival; and of one time, by id.
    state("b", "A", "09:00", { price: "3" }),
    state("a", "A", "08:00", { price: "2", name: "Cup" }),
    state("c", "A", "09:00", { price: "4", name: "Mug" }),
    // Not known before 12:00, whenever it was true.
    state("d", "A", "09:30", { price: "5" }, "12:00"),
    // Quarantined: no state.
    state("e", "A", "09:10", { price: "many" }),
  ]);
  await counted(service, 5, { source: "products" });
  await ingest(bus, [
    order("1", "08:30", { sku: "A", quantity: 10 }),
    order("2", "10:00", { sku: "A", quantity: 10 }),
    order("3", "12:00", { sku: "A", quantity: 10 }),
    order("4", "07:59", { sku: "A", quantity: 10 }),
    order("5", "10:00", { sku: "B", quantity: 10 }),
    order("6", "10:00", { quantity: 10 }),
  ]);
  await eventuallyClean(
    bus,
    ["1 Cup 20", "2 Mug 40", "3 null 50", "4 null null", "5 null null", "6 null null"],
    ({ id, data }) => `${id} ${data["product"]} ${data["amount"]}`,
  );
});

Deno.test("enrich quarantines what it has no state for, once and with the reason, where that is asked for", async () => {
  await using service = await start();
  const { bus } = service;
  await declareSource(bus, "products", PRODUCTS);
  await define(service, {
    steps: [
      { step: "cast", fields: ["sku"], to: "integer" },
      { step: "enrich", from: "products", by: ["sku"], take: { price: "price" }, missing: "quarantine" },
    ],
    expectations: [{ expect: "not_null", fields: ["price"], action: "quarantine" }],
  });
  await ingest(bus, [
    order("1", "10:00", { sku: 7 }),
    order("2", "10:00", { sku: "seven" }),
    order("3", "10:00", { sku: null }),
  ]);
  await counted(service, 3);
  const rows = await service.db`select id, reasons from quarantined order by id`;
  assertEquals(
    rows.map(({ id, reasons }) => [id, ...reasons.map((one: { message: string }) => one.message)]),
    [
      ["1", `names "7", which was not known in "products" at ${at("10:00")}`],
      ["2", 'must be an integer such as 17850 or 17850.0, within 2^53, not "seven"'],
      ["3", `names no entity in "products" at ${at("10:00")}`],
    ],
  );
});

Deno.test("enrich finds what came with it, and names entities of several fields as data-ingestion does", async () => {
  await using bus = await startTestBus();
  await using database = await createTestDatabase("data-preprocessing");
  const given = { bus, databaseUrl: database.url };
  {
    await using service = await start(given);
    await declareSource(bus, "products", { ...PRODUCTS, id: ["shop", "sku"] });
    await define(service, {
      steps: [{ step: "enrich", from: "products", by: ["place", "number"], take: { price: "price" } }],
    });
  }
  // While the service is away, so that both are taken at once, the order first.
  await ingest(bus, [order("1", "10:00", { place: "north", number: 7 })]);
  const subject = '["north","7"]';
  await ingest(bus, [
    event("x", { price: 3 }, { source: "products", subject, time: at("09:00"), knownat: at("09:00") }),
  ]);
  await using _service = await start(given);
  await eventuallyClean(bus, ["1 3"], ({ id, data }) => `${id} ${data["price"]}`);
});

Deno.test("putting a cleaning refuses to enrich from what has no states", async () => {
  await using service = await start();
  const { bus } = service;
  await declareSource(bus, "visits", { kind: "events", schema: {}, id: ["sku"] });
  await declareSource(bus, "people", { kind: "entities", schema: {} });
  await declareSource(bus, "products", PRODUCTS);
  const enrich = (from: string, by = ["sku"]) => ({
    step: "enrich" as const,
    from,
    by,
    take: { price: "price" },
  });
  const refusal = await assertRejects(
    () =>
      define(service, {
        steps: [
          enrich("visits"),
          enrich("people"),
          enrich("products", ["a", "b"]),
          enrich("products"),
          enrich("no"),
        ],
      }),
    AppError,
  );
  assertEquals(refusal.reasons.map(({ path, message }) => `${path} ${message}`), [
    '/steps/0 enriches from "visits", which is a source of events: only a source of entities has states',
    '/steps/1 enriches from "people", which declares no id fields: nothing names its entities',
    '/steps/2 names entities of "products" by 2 fields (a, b), and their id has 1 (sku)',
    '/steps/4 enriches from "no", and there is no such source',
  ]);
});

Deno.test("deduplicate lets the first by event time and id go on, within a batch and beyond it", async () => {
  await using service = await start();
  const { bus } = service;
  await define(service, { steps: [{ step: "deduplicate", by: ["cart", "sku"], within: "PT1H" }] });
  const add = (id: string, time: string, sku: unknown = "A") => order(id, time, { cart: 1, sku });
  await ingest(bus, [
    add("2", "10:00"),
    add("1", "10:00"),
    add("0", "10:05"),
    add("other", "10:05", "B"),
    // An hour after the first, whatever came between.
    add("later", "11:00"),
    add("nothing", "10:00", null),
    add("nothing too", "10:00", null),
  ]);
  await counted(service, 7);
  await ingest(bus, [add("again", "11:59"), add("much later", "12:00")]);
  assertEquals((await counted(service, 9)).filteredBy, { duplicate: 3 });
  await eventuallyClean(bus, ["1", "other", "later", "nothing", "nothing too", "much later"]);
  // Nothing earlier than this is known.
  await ingest(bus, [add("late", "09:59")]);
  assertEquals((await counted(service, 10)).filteredBy, { duplicate: 3 });
});

Deno.test("deduplicate passes over a record that has failed already", async () => {
  await using service = await start();
  await define(service, {
    steps: [
      { step: "cast", fields: ["quantity"], to: "number" },
      { step: "deduplicate", by: ["cart"], within: "PT1H" },
    ],
  });
  await ingest(service.bus, [
    order("bad", "10:00", { cart: 1, quantity: "many" }),
    order("good", "10:01", { cart: 1, quantity: "2" }),
  ]);
  assertEquals(notZero(await counted(service, 2)), { received: 2, clean: 1, quarantined: 1 });
});

Deno.test("unique tells every record that follows another of the same values too soon", async () => {
  await using service = await start();
  const { bus } = service;
  await define(service, {
    expectations: [
      { expect: "unique", fields: ["invoice"], within: "PT1H", action: "quarantine" },
      { expect: "unique", fields: ["invoice", "line"], within: "P1D", action: "warn" },
    ],
  });
  await ingest(bus, [
    order("1", "10:00", { invoice: 7, line: 1 }),
    order("2", "10:30", { invoice: 7, line: 2 }),
  ]);
  await counted(service, 2);
  // Half an hour after one that was refused itself.
  await ingest(bus, [
    order("3", "11:15", { invoice: 7, line: 1 }),
    order("4", "10:00", { invoice: null, line: 1 }),
    order("5", "13:00", { invoice: 7, line: 1 }),
  ]);
  assertEquals(notZero(await counted(service, 5)), { received: 5, clean: 3, quarantined: 2, warned: 1 });
  await eventuallyClean(bus, ["1", "4", "5"]);
});

Deno.test("explode makes a record of each item, and counts each", async () => {
  await using service = await start();
  const { bus } = service;
  await define(service, {
    steps: [
      { step: "explode", field: "lines", into: "line" },
      { step: "derive", field: "amount", expression: "e.line.price * e.rate" },
      { step: "filter", expression: "e.line.price != 0", reason: "free" },
    ],
    expectations: [{ expect: "range", field: "amount", min: 0, action: "quarantine" }],
  });
  const lines = (...prices: number[]) => prices.map((price) => ({ price }));
  await ingest(bus, [
    order("1", "10:00", { rate: 2, lines: lines(1, 2, 0, -1, -2) }),
    order("2", "10:00", { rate: 2, lines: [] }),
    order("3", "10:00", { rate: 2 }),
    order("4", "10:00", { rate: 2, lines: "none" }),
    order("5", "10:00", { rate: 2, lines: lines(5) }),
    order("6".repeat(255), "10:00", { rate: 2, lines: lines(5) }),
  ]);
  const counts = await counted(service, 6);
  assertEquals(notZero(counts), { received: 6, exploded: 4, clean: 3, filtered: 3, quarantined: 4 });
  assertEquals(counts.filteredBy, { free: 1, 'no item in "lines"': 2 });
  await eventuallyClean(
    bus,
    [
      '1#0 {"rate":2,"line":{"price":1},"amount":2}',
      '1#1 {"rate":2,"line":{"price":2},"amount":4}',
      '5#0 {"rate":2,"line":{"price":5},"amount":10}',
    ],
    ({ id, data }) => `${id} ${JSON.stringify(data)}`,
  );
  const rows = await service.db`select left(id, 1) as id, items, reasons, data from quarantined order by id`;
  assertEquals(
    rows.map(({ id, items, reasons }) => [
      id,
      items,
      ...reasons.map((one: { message: string }) => one.message),
    ]),
    [
      [
        "1",
        ["#3", "#4"],
        "must be at least 0, not -2 (in the item #3)",
        "must be at least 0, not -4 (in the item #4)",
      ],
      ["4", null, 'must be an array, not "none"'],
      ["6", null, "gives its items ids of 257 characters, and they may have 256"],
    ],
  );
  assertEquals(rows[0]!["data"], { rate: 2, lines: lines(1, 2, 0, -1, -2) });
});

Deno.test("explode refuses to make much out of little", async () => {
  await using service = await start();
  await define(service, { steps: [{ step: "explode", field: "items" }] });
  await ingest(service.bus, [
    order("1", "10:00", { text: "x".repeat(100_000), items: Array.from({ length: 1_000 }, (_, n) => n) }),
  ]);
  assertEquals(notZero(await counted(service, 1)), { received: 1, quarantined: 1 });
});
