import { assertEquals } from "@std/assert";
import type { Bus } from "shared/bus/connection.ts";
import * as contract from "shared/contracts/feature_store.ts";
import { STREAM } from "shared/contracts/streams.ts";
import { transaction } from "shared/db/connection.ts";
import { crashPointSuite } from "shared/testing/crash_points.ts";
import { createTestDatabase, type TestDatabase } from "shared/testing/database.ts";
import { eventually } from "shared/testing/poll.ts";
import type { TestService } from "shared/testing/service.ts";
import { storedEvents } from "shared/testing/streams.ts";
import {
  countsOf,
  day,
  defineShop,
  line,
  project,
  publishLines,
  setClock,
  startFeatureStore,
} from "./testing/shop.ts";

const paid = (customer_id: number, amount: number) => ({ customer_id, amount, cancelled: false });

/** Two customers who buy at day 0; what they spend in the week after it is the label. */
async function setUp(bus: Bus): Promise<TestDatabase> {
  const database = await createTestDatabase("feature-store");
  await using service = await startFeatureStore({ bus, databaseUrl: database.url });
  await defineShop(service);
  await setClock(bus, day(0));
  await publishAndWait(service, [1, 2].map((id) => line(paid(id, 1), { id: `${id}`, at: 0 })), 2);
  await publishAndWait(service, [line(paid(2, 3), { id: "3", at: 2 })], 3);
  await service.call(contract.putLabel, {
    project,
    name: "churn",
    body: {
      entity: "customer",
      spine: { source: "invoice_lines", every: "P7D", activeWithin: "P1D" },
      label: { source: "invoice_lines", aggregate: "sum", field: "amount", within: "P7D" },
    },
  });
  return database;
}

async function publishAndWait(
  service: TestService,
  events: Parameters<typeof publishLines>[1],
  records: number,
) {
  await publishLines(service.bus, events);
  await eventually(async () => assertEquals((await countsOf(service)).records, records));
}

/** Each revision of each label once; after the deduplication window a message may come again, and its keys are the guard. */
async function labelsOf(bus: Bus): Promise<string[]> {
  const events = await storedEvents<contract.LabelRecord>(bus, STREAM.labels);
  const revisions = events.map(({ id, definition, data }) =>
    `${id} v${definition} = ${data.value}, corrects ${data.corrects}`
  );
  return [...new Set(revisions)].sort();
}

const FIRST = [`["1"]@${day(0)} v1 = 0, corrects null`, `["2"]@${day(0)} v1 = 3, corrects null`];

const start = (bus: Bus, database: TestDatabase) => startFeatureStore({ bus, databaseUrl: database.url });
const input = { stream: STREAM.clean, durable: "feature-store" };

async function expectProgress({ db }: TestDatabase, expected: { published: number; corrections: number }) {
  const rows =
    await db`select published, corrections, (select count(*) from outbox) as waiting from label_progress`;
  assertEquals([...rows], [{ ...expected, waiting: 0 }]);
}

crashPointSuite<TestDatabase>({
  name: "the publisher of labels that mature",
  input,
  stages: ["written", "published"],
  setUp,
  publish: (bus) => setClock(bus, day(10)),
  start,
  async expectOnce(bus, database) {
    assertEquals(await labelsOf(bus), FIRST);
    await expectProgress(database, { published: 2, corrections: 0 });
  },
});

crashPointSuite<TestDatabase>({
  name: "the publisher of labels that are corrected",
  input,
  stages: ["written", "published"],
  async setUp(bus) {
    const database = await setUp(bus);
    await setClock(bus, day(10));
    await using service = await start(bus, database);
    await eventually(async () => assertEquals(await labelsOf(bus), FIRST));
    // The record comes late while nobody can look after the labels, so that those who do meet it at their start.
    await transaction(database.db, async (tx) => {
      await tx`select from label_progress for update`;
      await publishAndWait(service, [line(paid(1, 5), { id: "late", at: 3, knownAt: 9 })], 4);
      await service.stop();
    });
    return database;
  },
  publish: () => Promise.resolve(),
  start,
  async expectOnce(bus, database) {
    assertEquals(await labelsOf(bus), [FIRST[0]!, `["1"]@${day(0)} v2 = 5, corrects 1`, FIRST[1]!]);
    await expectProgress(database, { published: 3, corrections: 1 });
  },
});
