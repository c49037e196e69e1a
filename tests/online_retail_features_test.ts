/**
 * Weekly observations of the customers of the online shop: windows of 7, 30 and 90 days against a reference written
 * from the definition alone, and events that come later, which must change no feature.
 *
 * `deno task retail` takes every customer of the extract (`MICROML_RETAIL_CUSTOMERS=5000`) instead of some.
 */
import { assert, assertEquals } from "@std/assert";
import type { PlatformEvent } from "shared/contracts/envelope.ts";
import * as contract from "shared/contracts/feature_store.ts";
import { toInstant } from "shared/contracts/time.ts";
import { eventually } from "shared/testing/poll.ts";
import type { TestService } from "shared/testing/service.ts";
import { customerOf, isOrder, readInvoiceLines, timeOf } from "../examples/online-retail/load.ts";
import {
  countsOf,
  publishLines,
  setClock,
  startFeatureStore,
} from "../services/feature-store/testing/shop.ts";
import { build, load, type TrainingSetAsked } from "../services/feature-store/testing/training_set.ts";
import { chooseCustomers } from "./retail_slice.ts";

const CUSTOMERS = Number(Deno.env.get("MICROML_RETAIL_CUSTOMERS") ?? 80);
const DAY_MS = 86_400_000;
const project = "retail";
const source = "lines";
/** Mondays: the last row, and the clock. */
const LAST = "2011-06-06T00:00:00.000Z";
const CLOCK = "2011-06-20T00:00:00.000Z";
const WINDOWS = [7, 30, 90];

const body = {
  entity: "customer",
  source,
  features: Object.fromEntries(WINDOWS.flatMap((days) => {
    const common = { window: `P${days}D`, where: "e.is_order" };
    return [
      [`orders_${days}d`, { aggregate: "distinct_count" as const, field: "invoice", ...common }],
      [`spend_${days}d`, { aggregate: "sum" as const, field: "amount", ...common }],
      [`lines_${days}d`, { aggregate: "count" as const, ...common }],
    ];
  })),
};

const asked: TrainingSetAsked = {
  project,
  entity: "customer",
  featureService: { name: "weekly" },
  // Every customer, from the first line on.
  spine: { source, every: "P7D", activeWithin: "P400D" },
  label: { source, aggregate: "exists", where: "e.is_order", within: "P30D" },
  to: LAST,
};

async function linesOf(customers: ReadonlySet<number>): Promise<PlatformEvent[]> {
  const events: PlatformEvent[] = [];
  for await (const { number, line } of readInvoiceLines()) {
    const customer = customerOf(line);
    const time = timeOf(line);
    if (customer === undefined || !customers.has(customer) || time > CLOCK) continue;
    // In cents first: the reference below adds them up as whole numbers.
    const amount = Math.round(Number(line.Quantity) * Number(line.UnitPrice) * 100) / 100;
    events.push(toEvent(`line-${number}`, time, {
      customer_id: customer,
      invoice: line.InvoiceNo,
      amount,
      is_order: isOrder(line),
    }));
  }
  return events;
}

const toEvent = (id: string, time: string, data: Record<string, unknown>, knownat = time): PlatformEvent => ({
  specversion: "1.0",
  id,
  source,
  type: "microml.clean.v1",
  time,
  knownat,
  definition: 1,
  data,
});

async function startShop(events: readonly PlatformEvent[]): Promise<TestService> {
  const service = await startFeatureStore();
  await service.call(contract.putEntity, {
    project,
    name: "customer",
    body: { keys: { customer_id: "integer" } },
  });
  await service.call(contract.putView, { project, name: "orders", body });
  await service.call(contract.putFeatureService, {
    project,
    name: "weekly",
    body: { features: Object.keys(body.features).map((name) => `orders.${name}`) },
  });
  await publishLines(service.bus, events);
  await eventually(async () => assertEquals((await countsOf(service, source)).records, events.length));
  await setClockOf(service, CLOCK);
  return service;
}

const setClockOf = (service: TestService, now: string) => setClock(service.bus, now, project);

/** What the definition says: each order line in (T - w, T], for at midnight every hop is a whole number of windows. */
function reference(own: readonly PlatformEvent[], atMs: number): number[] {
  return WINDOWS.flatMap((days) => {
    const lines = own.filter(({ time, data }) =>
      data["is_order"] === true && Date.parse(time) > atMs - days * DAY_MS && Date.parse(time) <= atMs
    );
    const cents = lines.reduce((sum, { data }) => sum + Math.round(Number(data["amount"]) * 100), 0);
    return [new Set(lines.map(({ data }) => data["invoice"])).size, cents / 100, lines.length];
  });
}

Deno.test("weekly features of every customer are what the definition says, and later events change none", async () => {
  const events = await linesOf(await chooseCustomers(CUSTOMERS));
  await using service = await startShop(events);
  const before = await load(service, await build(service, asked));
  const linesByCustomer = Map.groupBy(events, ({ data }) => `["${data["customer_id"]}"]`);
  // From the first line on, every Monday.
  const mondays = [...linesByCustomer.values()].map(([first]) =>
    Math.max(0, 1 + Math.floor((Date.parse(LAST) - Date.parse(first!.time)) / (7 * DAY_MS)))
  );
  assertEquals(new Set(before.entities).size, mondays.filter((rows) => rows > 0).length);
  assertEquals(before.entities.length, mondays.reduce((sum, rows) => sum + rows, 0));
  before.entities.forEach((key, row) => {
    const atMs = before.times[row]!;
    assertEquals(
      before.features.map(({ values }) => values[row]!),
      reference(linesByCustomer.get(key)!, atMs),
      `${key} at ${toInstant(atMs)}`,
    );
  });

  // News from after each T: events behind the last row, and events between the rows that became known behind it.
  const news = [...linesByCustomer.keys()].flatMap((key, index) => {
    const data = {
      customer_id: JSON.parse(key)[0],
      invoice: `news-${index}`,
      amount: 1e6,
      is_order: true,
    };
    return [
      toEvent(`after-${index}`, toInstant(Date.parse(LAST) + (index % 10 + 1) * 3_600_000), data),
      toEvent(`late-${index}`, toInstant(Date.parse(LAST) - (index % 60) * DAY_MS), data, CLOCK),
    ];
  });
  await publishLines(service.bus, news);
  await eventually(async () =>
    assertEquals((await countsOf(service, source)).records, events.length + news.length)
  );
  const after = await load(service, await build(service, asked));
  assertEquals([after.entities, after.times, after.features], [
    before.entities,
    before.times,
    before.features,
  ]);
  assert(after.labels.some((label, row) => label !== before.labels[row]), "labels do see what came");
  const now = await load(service, await build(service, { ...asked, asKnown: "now" }));
  assert(
    now.features.some(({ values }, index) =>
      values.some((value, row) => value !== before.features[index]!.values[row])
    ),
    "who asks for what is known now does see it",
  );
});
