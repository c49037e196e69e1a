import { assertEquals } from "@std/assert";
import type { CleaningBody } from "shared/contracts/data_preprocessing.ts";
import type { PlatformEvent } from "shared/contracts/envelope.ts";
import type { Instant } from "shared/contracts/time.ts";
import { createTestDatabase } from "shared/testing/database.ts";
import { createCleanings } from "./cleanings.ts";
import { type Batch, preprocess } from "./preprocess.ts";
import { readCounts } from "./repository.ts";

const event = (id: string, run?: string): PlatformEvent => ({
  specversion: "1.0",
  id,
  source: "orders",
  type: "microml.ingested.v1",
  time: "2011-01-01T00:00:00.000Z",
  knownat: "2011-01-01T00:00:00.000Z",
  definition: 1,
  ...(run === undefined ? {} : { run }),
  data: { quantity: 2 },
});

const batch = (sequence: number, events: PlatformEvent[], more: Partial<Batch> = {}): Batch => ({
  sequence,
  receivedAt: "2026-11-23T12:00:00.000Z",
  source: "orders",
  events,
  project: "shop",
  clock: "2011-01-01T00:00:00.000Z",
  ...more,
});

const VERSIONS: CleaningBody[] = [1, 2].map((version) => ({
  steps: [{ step: "fill", fields: { made: version } }],
  expectations: [],
}));

/** Cleanings of which the given version is in force; 0: none. */
const inForce = (current: number) => {
  const version = (number: number) =>
    Promise.resolve(number === 0 ? undefined : { version: number, body: VERSIONS[number - 1]! });
  return createCleanings({ current: () => version(current), version: (_, number) => version(number) });
};

const published = (messages: Awaited<ReturnType<typeof preprocess>>) =>
  messages.flatMap(({ data }) => JSON.parse(new TextDecoder().decode(data)) as PlatformEvent[])
    .map(({ id, definition, data }) => `${id} v${definition} ${data["made"] ?? "untouched"}`);

Deno.test("preprocess() makes the same of a message that comes again, whatever the cleaning is by then", async () => {
  await using database = await createTestDatabase("data-preprocessing");
  const { db } = database;
  const first = [batch(1, [event("a"), event("b")])];
  assertEquals(published(await preprocess({ db, ...inForce(1) }, first)), ["a v1 1", "b v1 1"]);
  const before = await readCounts(db, undefined);
  // Together with a new one, which repeats an event.
  const both = [...first, batch(2, [event("b"), event("c")])];
  assertEquals(published(await preprocess({ db, ...inForce(2) }, both)), ["a v1 1", "b v1 1", "c v2 2"]);
  assertEquals(published(await preprocess({ db, ...inForce(0) }, both)), ["a v1 1", "b v1 1", "c v2 2"]);
  assertEquals(before.map(({ clean }) => clean), [2]);
  const after = await readCounts(db, undefined);
  assertEquals(after.map(({ clean, duplicates }) => ({ clean, duplicates })), [{ clean: 3, duplicates: 1 }]);
});

Deno.test("preprocess() passes records through again when they had no cleaning", async () => {
  await using database = await createTestDatabase("data-preprocessing");
  const { db } = database;
  const batches = [batch(1, [event("a")])];
  assertEquals(published(await preprocess({ db, ...inForce(0) }, batches)), ["a v1 untouched"]);
  assertEquals(published(await preprocess({ db, ...inForce(2) }, batches)), ["a v1 untouched"]);
});

Deno.test("preprocess() keeps a replay apart from the live flow", async () => {
  await using database = await createTestDatabase("data-preprocessing");
  const { db } = database;
  const deps = { db, ...inForce(1) };
  assertEquals((await preprocess(deps, [batch(1, [event("a"), event("a", "r-1")])])).length, 1);
  const [counts] = await readCounts(db, "orders");
  assertEquals({ clean: counts?.clean, duplicates: counts?.duplicates }, { clean: 2, duplicates: 0 });
});

Deno.test("preprocess() hands on the latest clock of the batches that it joins", async () => {
  await using database = await createTestDatabase("data-preprocessing");
  const { db } = database;
  const clock = (day: string): { clock: Instant } => ({ clock: `2011-01-${day}T00:00:00.000Z` });
  const messages = await preprocess({ db, ...inForce(1) }, [
    batch(1, [event("a")], clock("03")),
    batch(2, [event("b")], clock("09")),
    batch(3, [event("c")], clock("05")),
  ]);
  assertEquals(messages.map(({ subject, headers }) => [subject, headers?.["Microml-Clock"]]), [
    ["clean.orders", "2011-01-09T00:00:00.000Z"],
  ]);
});

Deno.test("preprocess() takes a stream that was made anew for what it is", async () => {
  await using database = await createTestDatabase("data-preprocessing");
  const { db } = database;
  const deps = { db, ...inForce(1) };
  await preprocess(deps, [batch(1, [event("a")])]);
  const later = [batch(1, [event("b")], { receivedAt: "2026-11-24T12:00:00.000Z" })];
  assertEquals(published(await preprocess(deps, later)), ["b v1 1"]);
});
