import { assert, assertEquals, assertRejects } from "@std/assert";
import type { Instant } from "shared/contracts/time.ts";
import type { Database } from "shared/db/connection.ts";
import { createDailyPartitions } from "shared/db/partitions.ts";
import { silentLogger } from "shared/log.ts";
import { createTestDatabase } from "shared/testing/database.ts";
import type { Incoming } from "shared/bus/message.ts";
import type { IngestDeps } from "./circumstances.ts";
import { compileSource } from "./domain/source.ts";
import { HandledMessages } from "./handled_messages.ts";
import { type Delivery, ingest } from "./ingest.ts";
import { KeyOutlook } from "./key_outlook.ts";
import { countDeadLetters } from "./ledger.ts";
import { readLedger } from "./repository/ledger.ts";

function depsOf(db: Database, version = 1): IngestDeps {
  const source = compileSource({
    name: "orders",
    project: "shop",
    version,
    body: { kind: "events", schema: { required: ["quantity"] }, id: version === 1 ? ["id"] : ["quantity"] },
  });
  return {
    db,
    partitions: createDailyPartitions(db, { table: "events", keepDays: 10_000, log: silentLogger }),
    sources: (names) => Promise.resolve(new Map(names.has("orders") ? [["orders", source]] : [])),
    clockKind: () => Promise.resolve("wall"),
    onClocks: () => undefined,
    maxRecordBytes: 10_000,
    keepDays: 10_000,
    privacy: undefined,
  };
}

const delivery = (
  sequence: number,
  payload: unknown,
  more: { redelivered?: boolean; arrivedAt?: Instant } = {},
): Delivery => ({
  source: "orders",
  data: new TextEncoder().encode(JSON.stringify(payload)),
  headers: {},
  arrivedAt: "2026-11-23T12:00:00.000Z",
  origin: { sequence },
  ...more,
});

const published = ({ publish }: Awaited<ReturnType<typeof ingest>>) =>
  publish().flatMap(({ data }) =>
    JSON.parse(new TextDecoder().decode(data)) as { id: string; definition: number }[]
  )
    .map(({ id, definition }) => `${id} v${definition}`);

const EVERYTHING = { source: null, from: "0001-01-01", to: "9999-12-31" };
const NOTHING_PENDING = { first: 1, last: 0, since: "2020-01-01T00:00:00.000Z" };

/** What the ledger counts, all days together. */
const sums = async (db: Database) => {
  const { entries } = await readLedger(db, EVERYTHING, NOTHING_PENDING);
  const sum = { received: 0, stored: 0, rejected: 0, duplicates: 0 };
  for (const entry of entries) {
    for (const column of ["received", "stored", "rejected", "duplicates"] as const) {
      sum[column] += entry[column];
    }
  }
  return sum;
};

/** As {@link sums} has them: whatever was received came to one of these ends. */
const counts = (stored: number, rejected: number, duplicates: number) => ({
  received: stored + rejected + duplicates,
  stored,
  rejected,
  duplicates,
});

const MIXED = [{ id: "a", quantity: 1 }, { id: "b" }, { id: "a", quantity: 2 }, { id: "c", quantity: 3 }];

Deno.test("ingest() publishes again, and counts nothing, when a message is known to come again", async () => {
  await using database = await createTestDatabase("data-ingestion");
  const { db } = database;
  await ingest(depsOf(db), [delivery(1, MIXED)]);
  const counted = counts(2, 1, 1);
  assertEquals(await sums(db), counted);
  // The definition has changed, its ids too: what is stored stays what it was.
  const again = await ingest(depsOf(db, 2), [delivery(1, MIXED, { redelivered: true })]);
  assertEquals(published(again), ["a v1", "c v1"]);
  assertEquals(await sums(db), counted);
});

Deno.test("ingest() knows a message again that the stream does not call redelivered", async () => {
  await using database = await createTestDatabase("data-ingestion");
  const { db } = database;
  await ingest(depsOf(db), [delivery(1, MIXED)]);
  const again = await ingest(depsOf(db), [delivery(1, MIXED), delivery(2, { id: "d", quantity: 4 })]);
  assertEquals(published(again), ["a v1", "c v1", "d v1"]);
  assertEquals(await sums(db), counts(3, 1, 1));
});

Deno.test("ingest() takes a stream that was made anew for what it is", async () => {
  await using database = await createTestDatabase("data-ingestion");
  const { db } = database;
  await ingest(depsOf(db), [delivery(1, [{ id: "a", quantity: 1 }, { id: "b" }])]);
  const later = { redelivered: true, arrivedAt: "2026-11-24T12:00:00.000Z" };
  const result = await ingest(depsOf(db), [delivery(1, [{ id: "c", quantity: 1 }, { id: "d" }], later)]);
  assertEquals(published(result), ["c v1"]);
  assertEquals(await sums(db), counts(2, 2, 0));
});

Deno.test("ingest() holds duplicates apart across the partitions of days", async () => {
  await using database = await createTestDatabase("data-ingestion");
  const { db } = database;
  await ingest(depsOf(db), [
    delivery(1, { id: "a", quantity: 1 }, { arrivedAt: "2026-11-23T23:59:59.999Z" }),
  ]);
  await ingest(depsOf(db), [
    delivery(2, [{ id: "a", quantity: 1 }, { id: "b", quantity: 2 }], {
      arrivedAt: "2026-11-24T00:00:00.000Z",
    }),
  ]);
  const rows = await db`select tableoid::regclass::text as partition, id from events order by id`;
  assertEquals([...rows], [
    { partition: "events_20261123", id: "a" },
    { partition: "events_20261124", id: "b" },
  ]);
  const days = await db`select day, stored, duplicates from ledger order by day`;
  assertEquals([...days], [
    { day: "2026-11-23", stored: 1, duplicates: 0 },
    { day: "2026-11-24", stored: 1, duplicates: 1 },
  ]);
});

Deno.test("ingest() keeps in one statement what needs several", async () => {
  await using database = await createTestDatabase("data-ingestion");
  const { db } = database;
  const many = Array.from({ length: 12_000 }, (_, number) => ({ id: `i-${number}`, quantity: number }));
  await ingest(depsOf(db), [delivery(1, many.slice(0, 6_000))]);
  const result = await ingest(depsOf(db), [delivery(2, many)]);
  assertEquals(published(result).length, 6_000);
  assertEquals(await sums(db), counts(12_000, 0, 6_000));
});

Deno.test("ingest() keeps the payload of what it rejects, whatever is in it", async () => {
  await using database = await createTestDatabase("data-ingestion");
  const { db } = database;
  const raw = (bytes: Uint8Array, sequence: number): Delivery => ({ ...delivery(sequence, 0), data: bytes });
  await ingest(depsOf(db), [
    raw(new Uint8Array([0xff, 0x00, 0x41]), 1),
    raw(new TextEncoder().encode('{"a\\u0000":"\\ud800","quantity":1,"id":"x"}'), 2),
    delivery(3, null),
  ]);
  const rows = await db`select data, text from rejected order by number`;
  assertEquals([...rows].map(({ data, text }) => text ?? JSON.stringify(data)), [
    "\ufffd\ufffdA",
    '{"a\\u0000":"\\ud800","quantity":1,"id":"x"}',
    "null",
  ]);
});

Deno.test("ingest() stores ids and texts as they are, whatever stands in them", async () => {
  await using database = await createTestDatabase("data-ingestion");
  const { db } = database;
  const strange = { id: 'a\tb\nc\\d\r"\u00e9\u{1f600}\\N', quantity: 1, note: "C:\\temp\\new\ttab\nline" };
  await ingest(depsOf(db), [delivery(1, strange)]);
  const rows = await db`select id, data from events`;
  assertEquals([...rows], [{ id: strange.id, data: strange }]);
  await ingest(depsOf(db), [delivery(2, strange)]);
  assertEquals((await sums(db)).duplicates, 1);
});

Deno.test("ingest() changes nothing when it fails on the way", async () => {
  await using database = await createTestDatabase("data-ingestion");
  const { db } = database;
  const withoutPartitions = { ...depsOf(db), partitions: { ensure: () => Promise.resolve() } };
  await assertRejects(
    () => ingest(withoutPartitions, [delivery(1, MIXED)]),
    Error,
    'no partition of relation "events" found',
  );
  assertEquals(await sums(db), counts(0, 0, 0));
  await ingest(depsOf(db), [delivery(1, MIXED)]);
  assertEquals(await sums(db), counts(2, 1, 1));
});

Deno.test("ingest() finds repeats in a message that was expected to hold none", async () => {
  await using database = await createTestDatabase("data-ingestion");
  const { db } = database;
  const deps = { ...depsOf(db), outlook: new KeyOutlook() };
  await ingest(deps, [delivery(1, MIXED)]);
  assert(deps.outlook.looksNew);
  const again = await ingest(deps, [delivery(2, [{ id: "c", quantity: 9 }, { id: "d", quantity: 4 }])]);
  assertEquals(published(again), ["d v1"]);
  assert(!deps.outlook.looksNew);
  assertEquals(await sums(db), counts(3, 1, 2));
  const [stored] = await db`select data from events where id = 'c'`;
  assertEquals(stored?.["data"], { id: "c", quantity: 3 });
});

Deno.test("ingest() takes a large batch in portions, with repeats found across them", async () => {
  await using database = await createTestDatabase("data-ingestion");
  const { db } = database;
  const note = "x".repeat(1_000);
  const many = (first: number, count: number) =>
    Array.from({ length: count }, (_, n) => ({ id: `i-${first + n}`, quantity: 1, note }));
  const messages = [0, 200, 400, 600, 700].map((first, index) => delivery(index + 1, many(first, 300)));
  const result = await ingest({ ...depsOf(db), outlook: new KeyOutlook() }, messages);
  assertEquals(published(result), many(0, 1_000).map(({ id }) => `${id} v1`));
  assertEquals(await sums(db), counts(1_000, 0, 500));
});

Deno.test("ingest() asks for a message that this process has handled, though nobody calls it redelivered", async () => {
  await using database = await createTestDatabase("data-ingestion");
  const { db } = database;
  const handledMessages = new HandledMessages();
  await ingest({ ...depsOf(db), handledMessages }, [delivery(1, MIXED)]);
  // What was rejected by the source as it was would be accepted by the one that is.
  const changed = { ...depsOf(db, 2), handledMessages };
  const again = await ingest(changed, [delivery(1, MIXED), delivery(2, { quantity: 9 })]);
  assertEquals(published(again), ["a v1", "c v1", "9 v2"]);
  assertEquals(await sums(db), counts(3, 1, 1));
});

Deno.test("ingest() publishes actor, trace and entity again as the first time", async () => {
  await using database = await createTestDatabase("data-ingestion");
  const { db } = database;
  const source = compileSource({
    name: "orders",
    project: "shop",
    version: 1,
    body: { kind: "entities", schema: {}, id: ["id"], time: "at" },
  });
  const sources = () => Promise.resolve(new Map([["orders", source]]));
  const deps = { ...depsOf(db), sources, now: () => Date.parse("2026-11-23T12:00:01.000Z") };
  const traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
  const message = {
    ...delivery(1, { id: "p-1", at: "2011-01-01T00:00:00.000Z", price: 0.5, "2": 1, "1": "\u00e9\n" }),
    headers: { "Microml-Actor": "ann", traceparent },
  };
  const [first] = (await ingest(deps, [message])).publish();
  const [second] = (await ingest(deps, [{ ...message, redelivered: true }])).publish();
  assertEquals(second, first);
  const [event] = JSON.parse(new TextDecoder().decode(first?.data));
  assertEquals({ actor: event.actor, traceparent: event.traceparent, subject: event.subject }, {
    actor: "ann",
    traceparent,
    subject: "p-1",
  });
});

Deno.test("ingest() takes a dead letter back that can be handled after all", async () => {
  await using database = await createTestDatabase("data-ingestion");
  const { db } = database;
  const lettersOf = async () =>
    (await readLedger(db, EVERYTHING, NOTHING_PENDING)).entries.map(({ deadLettered }) => deadLettered);
  const letters = [7, 8].map((sequence): Incoming => ({
    subject: "events.orders",
    name: "orders",
    stream: "EVENTS",
    sequence,
    data: new Uint8Array(),
    headers: {},
    receivedAt: "2026-11-23T12:00:00.000Z",
    redelivered: true,
  }));
  const sourceOf = ({ name }: Incoming) => name;
  await countDeadLetters({ db, sourceOf }, letters);
  await countDeadLetters({ db, sourceOf }, letters);
  assertEquals(await lettersOf(), [2]);
  await ingest(depsOf(db), [delivery(7, MIXED, { redelivered: true })]);
  assertEquals(await lettersOf(), [1]);
  assertEquals(await sums(db), counts(2, 1, 1));
});
