import { assertEquals } from "@std/assert";
import { cleaningBodySchema } from "shared/contracts/cleaning.ts";
import type { PlatformEvent } from "shared/contracts/envelope.ts";
import type { Instant } from "shared/contracts/time.ts";
import type { Database } from "shared/db/connection.ts";
import { createTestDatabase } from "shared/testing/database.ts";
import { createCleanings } from "./cleanings.ts";
import { type Batch, preprocess, type PreprocessDeps } from "./preprocess.ts";
import { readCounts } from "./repository/counts.ts";
import { event } from "./testing/orders.ts";

const batch = (sequence: number, events: PlatformEvent[], more: Partial<Batch> = {}): Batch => ({
  stream: "INGESTED",
  sequence,
  receivedAt: "2026-11-23T12:00:00.000Z",
  source: "orders",
  run: "",
  handOn: true,
  events,
  project: "shop",
  clock: "2011-01-01T00:00:00.000Z",
  ...more,
});

const VERSIONS = [1, 2].map((version) =>
  cleaningBodySchema.parse({ steps: [{ step: "fill", fields: { made: version } }] })
);

/** With cleanings of which the given version is in force; 0: none. */
const withCleaning = (db: Database, current: number): PreprocessDeps => {
  const version = (number: number) =>
    Promise.resolve(
      number === 0 ? undefined : { project: "shop", version: number, body: VERSIONS[number - 1]! },
    );
  return {
    db,
    ...createCleanings({ current: () => version(current), version: (_, number) => version(number) }),
    maxHeldBytes: 1_000_000,
    observe: () => Promise.resolve(),
    pokeOutbox() {},
  };
};

const published = (messages: Awaited<ReturnType<typeof preprocess>>) =>
  messages.flatMap(({ data }) => JSON.parse(new TextDecoder().decode(data)) as PlatformEvent[])
    .map(({ id, definition, data }) => `${id} v${definition} ${data["made"] ?? "untouched"}`);

Deno.test("preprocess() makes the same of a message that comes again, whatever the cleaning is by then", async () => {
  await using database = await createTestDatabase("data-preprocessing");
  const { db } = database;
  const first = [batch(1, [event("a", {}), event("b", {})])];
  assertEquals(published(await preprocess(withCleaning(db, 1), first)), ["a v1 1", "b v1 1"]);
  const before = await readCounts(db);
  // Together with a new one, which repeats an event.
  const both = [...first, batch(2, [event("b", {}), event("c", {})])];
  assertEquals(published(await preprocess(withCleaning(db, 2), both)), ["a v1 1", "b v1 1", "c v2 2"]);
  assertEquals(published(await preprocess(withCleaning(db, 0), both)), ["a v1 1", "b v1 1", "c v2 2"]);
  assertEquals(before.map(({ clean }) => clean), [2]);
  const after = await readCounts(db);
  assertEquals(after.map(({ clean, duplicates }) => ({ clean, duplicates })), [{ clean: 3, duplicates: 1 }]);
});

Deno.test("preprocess() passes records through again when they had no cleaning", async () => {
  await using database = await createTestDatabase("data-preprocessing");
  const { db } = database;
  const batches = [batch(1, [event("a", {})])];
  assertEquals(published(await preprocess(withCleaning(db, 0), batches)), ["a v0 untouched"]);
  assertEquals(published(await preprocess(withCleaning(db, 2), batches)), ["a v0 untouched"]);
});

Deno.test("preprocess() keeps a replay apart from the live flow", async () => {
  await using database = await createTestDatabase("data-preprocessing");
  const { db } = database;
  const deps = withCleaning(db, 1);
  const events = [event("a", {})];
  assertEquals(published(await preprocess(deps, [batch(1, events)])), ["a v1 1"]);
  const replayed = { stream: "REPLAY", run: "r-1" };
  assertEquals(published(await preprocess(deps, [batch(1, events, replayed)])), ["a v1 1"]);
  const again = await preprocess(deps, [batch(2, events, { ...replayed, handOn: false })]);
  assertEquals(again.length, 0);
  const outcomes = async (run?: string) =>
    (await readCounts(db, { run })).map(({ clean, duplicates }) => ({ clean, duplicates }));
  assertEquals(await outcomes(), [{ clean: 1, duplicates: 0 }]);
  assertEquals(await outcomes("r-1"), [{ clean: 1, duplicates: 1 }]);
});

Deno.test("preprocess() hands on the latest clock of the batches that it joins", async () => {
  await using database = await createTestDatabase("data-preprocessing");
  const { db } = database;
  const clock = (day: string): { clock: Instant } => ({ clock: `2011-01-${day}T00:00:00.000Z` });
  const messages = await preprocess(withCleaning(db, 1), [
    batch(1, [event("a", {})], clock("03")),
    batch(2, [event("b", {})], clock("09")),
    batch(3, [event("c", {})], clock("05")),
  ]);
  assertEquals(messages.map(({ subject, headers }) => [subject, headers?.["Microml-Clock"]]), [
    ["clean.orders", "2011-01-09T00:00:00.000Z"],
  ]);
});

Deno.test("preprocess() takes a stream that was made anew for what it is", async () => {
  await using database = await createTestDatabase("data-preprocessing");
  const { db } = database;
  const deps = withCleaning(db, 1);
  await preprocess(deps, [batch(1, [event("a", {})])]);
  const later = [batch(1, [event("b", {})], { receivedAt: "2026-11-24T12:00:00.000Z" })];
  assertEquals(published(await preprocess(deps, later)), ["b v1 1"]);
});
