import { assertEquals } from "@std/assert";
import { transaction } from "shared/db/connection.ts";
import { createTestDatabase } from "shared/testing/database.ts";
import { addCounts, forgetCounted, markCounted, readCounts } from "./source_counts.ts";

const receivedAt = "2011-05-02T08:26:00.000Z";

Deno.test("addCounts() adds to what is there", async () => {
  await using database = await createTestDatabase("feature-store");
  const one = { received: 10, records: 4, unused: 3, duplicates: 2, refused: 1 };
  const add = (sources: string[]) =>
    transaction(database.db, (tx) => addCounts(tx, sources.map((source) => ({ source, ...one }))));
  await add([]);
  await add(["orders", "logs"]);
  await add(["orders"]);
  assertEquals(await readCounts(database.db), [
    { source: "logs", ...one },
    { source: "orders", received: 20, records: 8, unused: 6, duplicates: 4, refused: 2 },
  ]);
});

Deno.test("markCounted() tells which messages were not counted yet, a new stream's among them", async () => {
  await using database = await createTestDatabase("feature-store");
  const mark = (sequences: number[], at = receivedAt) =>
    transaction(
      database.db,
      (tx) => markCounted(tx, sequences.map((sequence) => ({ sequence, receivedAt: at }))),
    );
  assertEquals(await mark([1, 2]), new Set([1, 2]));
  assertEquals(await mark([2, 3]), new Set([3]));
  assertEquals(await mark([2, 3], "2011-05-03T00:00:00.000Z"), new Set([2, 3]));
});

Deno.test("forgetCounted() forgets messages that were counted more than a day ago, a few at a time", async () => {
  await using database = await createTestDatabase("feature-store");
  const { db } = database;
  await transaction(db, (tx) => markCounted(tx, [1, 2, 3, 4].map((sequence) => ({ sequence, receivedAt }))));
  await db`update counted_messages set counted_at = now() - interval '25 hours' where sequence <= 3`;
  const left = async () =>
    (await db<{ left: number }[]>`select count(*) as left from counted_messages`)[0]!.left;
  await transaction(db, (tx) => forgetCounted(tx, 2));
  assertEquals(await left(), 2);
  await transaction(db, (tx) => forgetCounted(tx, 2));
  assertEquals(await left(), 1);
});
