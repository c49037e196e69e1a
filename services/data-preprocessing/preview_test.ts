import { assert, assertEquals, assertRejects } from "@std/assert";
import type { Bus } from "shared/bus/connection.ts";
import { serveEndpoints } from "shared/bus/endpoints.ts";
import { storedEvents } from "shared/contracts/data_ingestion.ts";
import * as contract from "shared/contracts/data_preprocessing.ts";
import { bind } from "shared/contracts/endpoint.ts";
import type { DataRecord } from "shared/contracts/envelope.ts";
import { AppError } from "shared/errors.ts";
import { silentLogger } from "shared/log.ts";
import { eventually } from "shared/testing/poll.ts";
import type { TestService } from "shared/testing/service.ts";
import {
  at,
  type CleaningInput,
  counted,
  declareSource,
  define,
  event,
  eventuallyClean,
  ingest,
  start,
} from "./testing/orders.ts";

const tryOut = (service: TestService, body: CleaningInput, records: DataRecord[]) =>
  service.call(contract.previewCleaning, { name: "orders", body, records });

/** data-ingestion, as far as it is asked for samples: it gives the last to arrive first. */
const serveStored = (bus: Bus, stored: { id: string; time: string; data: DataRecord }[]) =>
  serveEndpoints(bus, {
    service: "data-ingestion",
    version: "0.0.0",
    endpoints: [
      bind(storedEvents, ({ source, limit }) =>
        Promise.resolve({
          events: source !== "orders" ? [] : stored.slice(0, limit).map((event) => ({
            ...event,
            knownAt: event.time,
            arrivedAt: event.time,
            definition: 1,
          })),
        })),
    ],
    log: silentLogger,
  });

Deno.test("preview() shows each record before and after each step, and how the sample fares", async () => {
  await using service = await start();
  const body: CleaningInput = {
    steps: [
      { step: "trim", fields: ["name"] },
      { step: "cast", fields: ["quantity"], to: "integer" },
      { step: "filter", expression: "e.quantity > 0", reason: "nothing sold" },
      { step: "derive", field: "double", expression: "e.quantity * 2" },
    ],
    expectations: [
      { expect: "range", field: "quantity", max: 5, action: "warn" },
      { expect: "not_null", fields: ["name"], action: "quarantine" },
    ],
  };
  const { records, outcomes } = await tryOut(service, body, [
    { name: " a ", quantity: "6" },
    { name: "b", quantity: "0" },
    { name: null, quantity: "six" },
  ]);
  assertEquals(outcomes, { clean: 1, filtered: 1, quarantined: 1 });
  assertEquals(records[0], {
    id: "1",
    before: { name: " a ", quantity: "6" },
    steps: [
      { step: "trim", after: [{ name: "a", quantity: "6" }], reasons: [] },
      { step: "cast", after: [{ name: "a", quantity: 6 }], reasons: [] },
      { step: "filter", after: [{ name: "a", quantity: 6 }], reasons: [] },
      { step: "derive", after: [{ name: "a", quantity: 6, double: 12 }], reasons: [] },
    ],
    outcome: "clean",
    reasons: [],
    warnings: [{ path: "/quantity", message: "must be at most 5, not 6" }],
  });
  const filtered = [{ path: "", message: "nothing sold" }];
  assertEquals(records[1]?.steps.map(({ after, reasons }) => [after.length, reasons]), [
    [1, []],
    [1, []],
    [0, filtered],
    [0, []],
  ]);
  assertEquals([records[1]?.outcome, records[1]?.reasons], ["filtered", filtered]);
  const wrong = {
    path: "/quantity",
    message: 'must be an integer such as 17850 or 17850.0, within 2^53, not "six"',
  };
  // What a step found wrong is told there, and not again after each step that follows.
  assertEquals(records[2]?.steps.map(({ reasons }) => reasons), [[], [wrong], [], []]);
  assertEquals(records[2]?.reasons, [wrong, { path: "/name", message: "must not be null" }]);
});

Deno.test("preview() shows the records that an array is exploded into", async () => {
  await using service = await start();
  const body: CleaningInput = {
    steps: [
      { step: "explode", field: "lines", into: "line" },
      { step: "cast", fields: ["line"], to: "integer" },
      { step: "filter", expression: "e.line != 2", reason: "two" },
    ],
  };
  const { records: [some, none, many], outcomes } = await tryOut(service, body, [
    { order: 7, lines: ["1", "2", "x"] },
    { order: 8, lines: [] },
    { order: 9, lines: Array.from({ length: 30 }, (_, index) => index + 5) },
  ]);
  assertEquals(some?.steps.map(({ after }) => after), [
    ["1", "2", "x"].map((line) => ({ order: 7, line })),
    [1, 2, "x"].map((line) => ({ order: 7, line })),
    [1, "x"].map((line) => ({ order: 7, line })),
  ]);
  assertEquals([some?.outcome, none?.outcome, many?.outcome], ["quarantined", "filtered", "clean"]);
  assertEquals(none?.steps[0], {
    step: "explode",
    after: [],
    reasons: [{ path: "", message: 'no item in "lines"' }],
  });
  assertEquals(many?.steps[0]?.after.length, 20);
  assertEquals(outcomes, { clean: 1, filtered: 1, quarantined: 1 });
});

Deno.test("preview() takes the records that arrived last, and the cleaning in force", async () => {
  await using service = await start();
  await define(service, { steps: [{ step: "case", fields: ["code"], to: "lower" }] });
  await using _ingestion = await serveStored(service.bus, [
    { id: "c", time: at("10:00"), data: { code: "C" } },
    { id: "b", time: at("09:00"), data: { code: "B" } },
    { id: "a", time: at("08:00"), data: { code: "A" } },
  ]);
  const { records } = await service.call(contract.previewCleaning, { name: "orders", limit: 2 });
  assertEquals(records.map(({ id, steps: [step] }) => [id, step?.after[0]]), [["b", { code: "b" }], ["c", {
    code: "c",
  }]]);
});

Deno.test("preview() says what it lacks", async () => {
  await using service = await start();
  const refusal = async (request: Parameters<typeof service.call<typeof contract.previewCleaning>>[1]) =>
    await assertRejects(() => service.call(contract.previewCleaning, request), AppError) as AppError;
  const none = await refusal({ name: "orders", records: [{}] });
  assertEquals([none.code, none.message], [
    "not_found",
    'Cannot preview the cleaning "orders": none is in force, and the request has no body',
  ]);
  const away = await refusal({ name: "orders", body: {} });
  assertEquals([away.code, away.message], [
    "unavailable",
    'Cannot preview the cleaning "orders" on stored records: Cannot call data-ingestion.v1.events: no service answers it',
  ]);
  await using _ingestion = await serveStored(service.bus, []);
  const empty = await refusal({ name: "orders", body: {} });
  assertEquals([empty.code, empty.message], [
    "not_found",
    'Cannot preview the cleaning "orders": the source has no stored records, and the request has none',
  ]);
  const wrong = await refusal({
    name: "orders",
    body: { steps: [{ step: "rename", fields: { a: "c", b: "c" } }, { step: "hash", fields: ["a"] }] },
    records: [{}],
  });
  assertEquals([wrong.code, wrong.reasons.map(({ path }) => path)], ["invalid", ["/steps/0", "/steps/1"]]);
});

Deno.test("preview() shows what the memory says, and adds nothing to it", async () => {
  await using service = await start();
  await declareSource(service.bus, "products", { kind: "entities", schema: {}, id: ["sku"], time: "since" });
  await declareSource(service.bus, "orders", { kind: "events", schema: {}, time: "at" });
  const deduplicate: NonNullable<CleaningInput["steps"]>[number] = {
    step: "deduplicate",
    by: ["sku"],
    within: "PT1H",
  };
  await define(service, { steps: [deduplicate] });
  const product = { source: "products", subject: "s1", time: at("08:00"), knownat: at("08:00") };
  await ingest(service.bus, [event("p", { sku: "s1", price: 3 }, product)]);
  await ingest(service.bus, [event("o", { sku: "s1", at: at("09:00") }, { time: at("09:00") })]);
  await counted(service, 1);
  await eventuallyClean(service.bus, ["p"], undefined, "products");

  const body: CleaningInput = {
    steps: [deduplicate, { step: "enrich", from: "products", by: ["sku"], take: { price: "price" } }],
  };
  const sample = [
    { sku: "s1", at: at("09:30") },
    { sku: "s1", at: at("10:30") },
    { sku: "s2", at: at("10:30") },
  ];
  // The bucket tells of the source, whose time field is needed, a moment after it was declared.
  const first = await eventually(async () => {
    const reply = await tryOut(service, body, sample);
    assertEquals(reply.records.map(({ outcome, steps }) => [outcome, steps[1]?.after[0]?.["price"]]), [
      ["filtered", undefined],
      ["clean", 3],
      ["clean", null],
    ]);
    return reply;
  });
  assertEquals(await tryOut(service, body, sample), first);
});

Deno.test("preview() shows as many records as fit into an answer, and counts all", async () => {
  await using service = await start();
  const body: CleaningInput = { steps: [{ step: "trim", fields: ["text"] }] };
  const text = "x".repeat(90_000);
  const records = Array.from({ length: 5 }, () => ({ text }));
  const reply = await tryOut(service, body, records);
  assertEquals(reply.outcomes.clean, 5);
  assertEquals(reply.records.length, 2);
  const large = await assertRejects(() => tryOut(service, body, [{ text: "x".repeat(300_000) }]), AppError);
  assertEquals((large as AppError).code, "too_large");
});

Deno.test("preview() is served over HTTP", async () => {
  await using service = await start();
  const response = await fetch(`${service.url}/v1/cleanings/orders/preview`, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ body: { steps: [{ step: "trim", fields: ["a"] }] }, records: [{ a: " x " }] }),
  });
  assertEquals(response.status, 200);
  const { records: [record] } = await response.json();
  assertEquals(record.steps, [{ step: "trim", after: [{ a: "x" }], reasons: [] }]);
  assert(record.outcome === "clean");
});
