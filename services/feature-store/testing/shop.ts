/** A small shop, whose invoice lines the tests of this service publish. @module */
import { assertEquals } from "@std/assert";
import type { z } from "zod";
import { encodeBatches } from "shared/bus/batch.ts";
import { bucketPut } from "shared/bus/bucket.ts";
import type { Bus } from "shared/bus/connection.ts";
import { publishAll } from "shared/bus/publisher.ts";
import type { DataRecord, PlatformEvent } from "shared/contracts/envelope.ts";
import * as contract from "shared/contracts/feature_store.ts";
import { BUCKET, STREAM, subject } from "shared/contracts/streams.ts";
import { type Instant, toInstant } from "shared/contracts/time.ts";
import { eventually } from "shared/testing/poll.ts";
import { startTestService, type TestService, type TestServiceOptions } from "shared/testing/service.ts";
import { everythingIsAcknowledged } from "shared/testing/streams.ts";
import { createApp } from "../app.ts";
import { configSchema } from "../config.ts";

export const project = "shop";
export const DAY = 86_400_000;
/** A Monday. */
export const MONDAY = Date.parse("2011-05-02T00:00:00.000Z");

export const day = (number: number): Instant => toInstant(MONDAY + number * DAY);

export function startFeatureStore(options: TestServiceOptions = {}): Promise<TestService> {
  return startTestService("feature-store", configSchema, createApp, options);
}

export const orders = {
  entity: "customer",
  source: "invoice_lines",
  features: {
    lines_30d: { aggregate: "count", window: "P30D", where: "!e.cancelled" },
    spend_30d: { aggregate: "sum", field: "amount", window: "P30D", where: "!e.cancelled" },
    spend: { aggregate: "sum", field: "amount", window: null },
    deviation: { aggregate: "deviation", field: "amount", window: "P7D" },
    since_last: { aggregate: "since_last", window: null },
    mean_30d: { expression: "f.spend_30d / f.lines_30d" },
  },
} as const;

export const orderFeatures = Object.keys(orders.features).map((name) => `orders.${name}`);

/** Puts the entity, the view and the feature service. */
export async function defineShop(service: Pick<TestService, "call">): Promise<void> {
  await service.call(contract.putEntity, {
    project,
    name: "customer",
    body: { keys: { customer_id: "integer" } },
  });
  await service.call(contract.putView, { project, name: "orders", body: orders });
  await service.call(contract.putFeatureService, {
    project,
    name: "churn",
    body: { features: orderFeatures },
  });
}

export interface LineOptions {
  id: string;
  /** Days after {@link MONDAY}. */
  at: number;
  /** Default: as soon as it happened. */
  knownAt?: number;
  source?: string;
  definition?: number;
}

export function line(data: DataRecord, options: LineOptions): PlatformEvent {
  const { id, at, knownAt = at, source = "invoice_lines", definition = 1 } = options;
  return {
    specversion: "1.0",
    id,
    source,
    type: "microml.clean.v1",
    time: day(at),
    knownat: day(knownAt),
    definition,
    data,
  };
}

/** Lines of customers 0 to `customers` - 1 over 20 weeks, the same ones each time. */
export function history(customers: number, linesOfEach: number): PlatformEvent[] {
  const events: PlatformEvent[] = [];
  for (let customer = 0; customer < customers; customer++) {
    for (let number = 0; number < linesOfEach; number++) {
      const noise = (customer * 7_919 + number * 104_729) % 10_007;
      const at = (noise % 1_400) / 10;
      events.push(line(
        { customer_id: customer, amount: (noise % 5_000) / 100, cancelled: noise % 11 === 0 },
        { id: `${customer}-${number}`, at, knownAt: noise % 5 === 0 ? at + 3 : at },
      ));
    }
  }
  return events;
}

export async function publishLines(bus: Bus, events: readonly PlatformEvent[]): Promise<void> {
  for (const [source, ofSource] of Map.groupBy(events, (event) => event.source)) {
    await publishAll(bus, encodeBatches(ofSource, { subject: subject.clean(source) }));
  }
}

/** Sets the clock of a project as data-ingestion would. */
export async function setClock(bus: Bus, now: Instant, of = project): Promise<void> {
  const clock = { project: of, kind: "event", now, revision: 1 };
  await publishAll(bus, [bucketPut(BUCKET.clocks, of, clock, `clock:${of}:${now}`)]);
}

export interface Counts {
  received: number;
  records: number;
  unused: number;
  duplicates: number;
  refused: number;
}

export async function countsOf(
  service: Pick<TestService, "call">,
  source = "invoice_lines",
): Promise<Counts> {
  const { sources } = await service.call(contract.counts, {});
  const { received = 0, records = 0, unused = 0, duplicates = 0, refused = 0 } =
    sources.find((row) => row.source === source) ?? {};
  return { received, records, unused, duplicates, refused };
}

/** A shop of twenty customers, all they bought applied and acknowledged; its clock stands at day 150. */
export async function startShop(env: Record<string, string> = {}): Promise<TestService> {
  const service = await startFeatureStore({ env });
  await defineShop(service);
  // Known before there is anything to look at: no statistics of the wall clock's time.
  await setClock(service.bus, day(150));
  await eventually(async () => {
    const asked = { features: ["orders.spend"], entities: [{ customer_id: 1 }] };
    assertEquals((await service.call(contract.online, asked)).at, day(150));
  });
  await publishLines(service.bus, history(20, 10));
  await eventually(async () => assertEquals((await countsOf(service)).records, 200));
  await eventually(() =>
    everythingIsAcknowledged(service.bus, { stream: STREAM.clean, durable: "feature-store" })
  );
  return service;
}

/** A view of customers whose features read values of the request. */
export const putBaskets = (
  service: Pick<TestService, "call">,
  parts: Pick<z.input<typeof contract.viewBodySchema>, "request" | "features">,
) =>
  service.call(contract.putView, {
    project,
    name: "baskets",
    body: { entity: "customer", source: "invoice_lines", ...parts },
  });

/** The features of those twenty at day 140. */
export const readCustomers = (service: Pick<TestService, "call">) =>
  service.call(contract.online, {
    features: { service: "churn" },
    entities: Array.from({ length: 20 }, (_, customer_id) => ({ customer_id })),
    asOf: day(140),
  });
