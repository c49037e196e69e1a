import { assertEquals, assertRejects } from "@std/assert";
import * as contract from "shared/contracts/data_preprocessing.ts";
import { AppError } from "shared/errors.ts";
import { eventually } from "shared/testing/poll.ts";
import type { TestService } from "shared/testing/service.ts";
import {
  cleanEvents,
  counted,
  declareSource,
  define,
  event,
  eventuallyClean,
  ingest,
  notZero,
  sold,
  start,
} from "./testing/orders.ts";

const STRICT = {
  steps: [{ step: "cast" as const, fields: ["price"], to: "number" as const }],
  expectations: [{
    expect: "range" as const,
    field: "price",
    min: 0,
    max: 10,
    action: "quarantine" as const,
  }],
};

const redrive = (service: TestService, request = {}, idempotencyKey?: string) =>
  service.call(contract.redriveQuarantined, request, idempotencyKey === undefined ? {} : { idempotencyKey });

const quarantined = async (service: TestService) =>
  (await service.call(contract.quarantined, {})).quarantined.map(({ number, id }) => `${number} ${id}`);

Deno.test("redrive-quarantined cleans all again by the cleaning as it is now, and moves the counts", async () => {
  await using service = await start();
  const { bus, db } = service;
  await define(service, STRICT);
  await ingest(bus, [
    sold("1", { price: "20" }),
    sold("2", { price: "5" }),
    sold("3", { price: "-5" }),
    sold("4", { price: "none" }),
  ]);
  await counted(service, 4);
  // As if they had come on another day.
  for (const table of ["counts", "quarantined"]) await db`update ${db(table)} set day = '2026-01-01'`;
  await define(service, {
    steps: [...STRICT.steps, { step: "filter", expression: "e.price > 0", reason: "given back" }],
  });
  assertEquals(await redrive(service, {}, "once"), { clean: 1, filtered: 1, quarantined: 1, next: null });
  // The same call gets the same answer, and does nothing.
  assertEquals(await redrive(service, {}, "once"), { clean: 1, filtered: 1, quarantined: 1, next: null });
  const counts = await counted(service, 4);
  assertEquals(notZero(counts), { received: 4, clean: 2, filtered: 1, quarantined: 1 });
  assertEquals(counts.filteredBy, { "given back": 1 });
  assertEquals((await db`select day::text from counts`).map(({ day }) => day), ["2026-01-01"]);
  assertEquals(await quarantined(service), ["3 4"]);
  await eventuallyClean(
    bus,
    ["1 v2 20", "2 v1 5"],
    ({ id, definition, data }) => `${id} v${definition} ${data["price"]}`,
  );
  // As it came, but for what the cleaning did.
  const [again] = (await cleanEvents(bus)).filter(({ id }) => id === "1");
  assertEquals(again, { ...sold("1", { price: 20 }), type: "microml.clean.v1", definition: 2 });
});

Deno.test("redrive-quarantined takes a selection, a page at a time", async () => {
  await using service = await start();
  const { bus } = service;
  await define(service, STRICT);
  await define(service, STRICT, "visits");
  await ingest(bus, [1, 2, 3, 4].map((n) => sold(`${n}`, { price: "20" })));
  await ingest(bus, [sold("5", { price: "20" }, { source: "visits" })]);
  await counted(service, 4);
  await counted(service, 1, { source: "visits" });
  await define(service, {});
  assertEquals(await redrive(service, { source: "orders", limit: 2 }), {
    ...{ clean: 2, filtered: 0, quarantined: 0 },
    next: "2",
  });
  assertEquals(await quarantined(service), ["5 5", "4 4", "3 3"]);
  assertEquals((await redrive(service, { path: "/quantity" })).clean, 0);
  assertEquals((await redrive(service, { numbers: [3, 99] })).clean, 1);
  assertEquals((await redrive(service, { path: "/price", source: "orders", after: "2" })).clean, 1);
  // Its cleaning is as it was.
  assertEquals(await redrive(service), { clean: 0, filtered: 0, quarantined: 1, next: null });
  await eventuallyClean(bus, ["1", "2", "3", "4"]);
});

Deno.test("redrive-quarantined fixes one record", async () => {
  await using service = await start();
  const { bus } = service;
  await define(service, STRICT);
  await ingest(bus, [sold("1", { price: "20", note: "?" })]);
  await counted(service, 1);
  const fix = { price: 12, note: null };
  assertEquals(await redrive(service, { numbers: [1], fix }), {
    clean: 0,
    filtered: 0,
    quarantined: 1,
    next: null,
  });
  const { quarantined: [record] } = await service.call(contract.quarantined, {});
  assertEquals(record?.data, { quantity: "2", price: 12, customer: 1 });
  assertEquals(record?.reasons, [{ path: "/price", message: "must be at most 10, not 12" }]);
  assertEquals((await redrive(service, { numbers: [1], fix: { price: 10 } })).clean, 1);
  await eventuallyClean(
    bus,
    ['1 {"quantity":"2","price":10,"customer":1}'],
    ({ id, data }) => `${id} ${JSON.stringify(data)}`,
  );
  await assertRejects(() => redrive(service, { fix }), AppError, "exactly one number");
  const gone = await assertRejects(() => redrive(service, { numbers: [1], fix }), AppError, "there is none");
  assertEquals(gone.code, "not_found");
});

Deno.test("redrive-quarantined looks only at those items of a record that failed", async () => {
  await using service = await start();
  const { bus } = service;
  const items = (prices: unknown[]) => event("1", { items: prices.map((price) => ({ price })) });
  const cleaning = (max: number) => ({
    steps: [{ step: "explode" as const, field: "items", into: "item" }],
    expectations: [{
      expect: "row" as const,
      expression: `e.item.price < ${max}.0`,
      message: "dear",
      action: "quarantine" as const,
    }],
  });
  await define(service, cleaning(10));
  await ingest(bus, [items([1, 20, 30])]);
  assertEquals(notZero(await counted(service, 1)), { received: 1, exploded: 2, clean: 1, quarantined: 2 });
  await define(service, cleaning(25));
  assertEquals(await redrive(service), { clean: 1, filtered: 0, quarantined: 1, next: null });
  await eventuallyClean(bus, ["1#0 v1", "1#1 v2"], ({ id, definition }) => `${id} v${definition}`);
  await define(service, { steps: [] });
  assertEquals(await redrive(service), { clean: 0, filtered: 1, quarantined: 0, next: null });
  const counts = await counted(service, 1);
  assertEquals(notZero(counts), { received: 1, exploded: 2, clean: 2, filtered: 1 });
  assertEquals(counts.filteredBy, { "no longer an item of its record": 1 });
});

Deno.test("redrive-quarantined makes more of a record that is exploded only now", async () => {
  await using service = await start();
  await define(service, STRICT);
  await ingest(service.bus, [sold("1", { price: "20", items: [1, 2, 3] })]);
  await counted(service, 1);
  await define(service, { steps: [{ step: "explode", field: "items" }] });
  assertEquals((await redrive(service)).clean, 3);
  assertEquals(notZero(await counted(service, 1)), { received: 1, exploded: 2, clean: 3 });
});

Deno.test("redrive-quarantined keeps the states of entities that it lets go on", async () => {
  await using service = await start();
  const { bus, db } = service;
  await declareSource(bus, "products", { kind: "entities", schema: {}, id: ["sku"] });
  await define(service, STRICT, "products");
  await ingest(bus, [event("A@1", { sku: "A", price: "20" }, { source: "products", subject: "A" })]);
  await counted(service, 1, { source: "products" });
  await define(service, {}, "products");
  await redrive(service);
  await eventually(async () => {
    const states = await db`select entity, id, cleaning, data from entity_states`;
    assertEquals([...states], [{ entity: "A", id: "A@1", cleaning: 2, data: { sku: "A", price: "20" } }]);
  });
  await eventuallyClean(bus, ["A@1 of A"], ({ id, subject }) => `${id} of ${subject}`, "products");
});

Deno.test("redrive-quarantined with a fix of what names an entity gives the state to the entity it names now", async () => {
  await using service = await start();
  const { bus, db } = service;
  await declareSource(bus, "products", { kind: "entities", schema: {}, id: ["sku", "shop"] });
  await define(service, STRICT, "products");
  const product = (sku: string) =>
    event(`["${sku}","1"]@x`, { sku, shop: 1, price: "99" }, {
      source: "products",
      subject: `["${sku}","1"]`,
    });
  await ingest(bus, [product("B"), product("C")]);
  await counted(service, 2, { source: "products" });
  const [{ number } = { number: 0 }] = await db`select number from quarantined where id like '["B"%'`;
  await assertRejects(
    () => redrive(service, { numbers: [number], fix: { sku: null, price: "5" } }),
    AppError,
    "sku, shop must be texts, numbers or booleans, for they name the entity",
  );
  await redrive(service, { numbers: [number], fix: { sku: "A", price: "5" } });
  assertEquals((await db`select entity from entity_states`).map(({ entity }) => entity), ['["A","1"]']);
  await eventuallyClean(bus, ['["A","1"]'], ({ subject }) => subject!, "products");
});
