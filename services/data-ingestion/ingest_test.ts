import { assertEquals, assertRejects } from "@std/assert";
import type { Instant } from "shared/contracts/time.ts";
import type { Database } from "shared/db/connection.ts";
import { createDailyPartitions } from "shared/db/partitions.ts";
import { silentLogger } from "shared/log.ts";
import { createTestDatabase } from "shared/testing/database.ts";
import { compileSource } from "./domain/source.ts";
import { type Delivery, ingest, type IngestDeps } from "./ingest.ts";
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
  publish.flatMap(({ data }) =>
    JSON.parse(new TextDecoder().decode(data)) as { id: string; definition: number }[]
  )
    .map(({ id, definition }) => `${id} v${definition}`);

const sums = async (db: Database) =>
  (await readLedger(db, { first: 1, last: 0, since: "2020-01-01T00:00:00.000Z" })).sums;

const MIXED = [{ id: "a", quantity: 1 }, { id: "b" }, { id: "a", quantity: 2 }, { id: "c", quantity: 3 }];

Deno.test("ingest() publishes again, and counts nothing, when a message is known to come again", async () => {
  await using database = await createTestDatabase("data-ingestion");
  const { db } = database;
  await ingest(depsOf(db), [delivery(1, MIXED)]);
  const counted = [{ source: "orders", stored: 2, rejected: 1, duplicates: 1 }];
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
  assertEquals(await sums(db), [{ source: "orders", stored: 3, rejected: 1, duplicates: 1 }]);
});

Deno.test("ingest() takes a stream that was made anew for what it is", async () => {
  await using database = await createTestDatabase("data-ingestion");
  const { db } = database;
  await ingest(depsOf(db), [delivery(1, [{ id: "a", quantity: 1 }, { id: "b" }])]);
  const later = { redelivered: true, arrivedAt: "2026-11-24T12:00:00.000Z" };
  const result = await ingest(depsOf(db), [delivery(1, [{ id: "c", quantity: 1 }, { id: "d" }], later)]);
  assertEquals(published(result), ["c v1"]);
  assertEquals(await sums(db), [{ source: "orders", stored: 2, rejected: 2, duplicates: 0 }]);
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
  assertEquals(await sums(db), [{ source: "orders", stored: 12_000, rejected: 0, duplicates: 6_000 }]);
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
  assertEquals((await sums(db))[0]?.duplicates, 1);
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
  assertEquals(await sums(db), []);
  await ingest(depsOf(db), [delivery(1, MIXED)]);
  assertEquals(await sums(db), [{ source: "orders", stored: 2, rejected: 1, duplicates: 1 }]);
});
