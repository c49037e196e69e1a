import { assertEquals } from "@std/assert";
import { type Database, transaction } from "shared/db/connection.ts";
import { toInstant } from "shared/contracts/time.ts";
import { createTestDatabase } from "shared/testing/database.ts";
import { forgetEvents } from "./forget_events.ts";
import { addCounts } from "./repository/source_counts.ts";
import { type EntityEvent, storeRecords } from "./store_records.ts";

const START = Date.UTC(2011, 0, 1);
const DAY = 86_400_000;

/** An event a day; every third is of a customer. */
async function storeDays(db: Database, source: string, days: number): Promise<void> {
  const events = Array.from({ length: days }, (_, day): EntityEvent => ({
    source,
    id: `${day}`,
    definition: 1,
    time: toInstant(START + day * DAY),
    knownAt: toInstant(START + day * DAY),
    data: {},
    places: day % 3 === 0 ? [{ entity: "customer", key: '["1"]' }] : [],
  }));
  const counts = { received: days, records: days, unused: 0, duplicates: 0, refused: 0 };
  await transaction(db, async (tx) => {
    await storeRecords(tx, events);
    await addCounts(tx, [{ source, ...counts }]);
  });
}

async function keptDays(db: Database, source: string, entity: string): Promise<number[]> {
  const rows = await db<{ id: string }[]>`
    select id from records where source = ${source} and entity = ${entity} order by event_time`;
  return rows.map(({ id }) => Number(id));
}

Deno.test("forgetEvents() keeps events of no entity for some days back from the newest of their source", async () => {
  await using database = await createTestDatabase("feature-store");
  const { db } = database;
  await storeDays(db, "visits", 30);
  await storeDays(db, "orders", 6);
  await forgetEvents(db, { keepDays: 10 });
  // The newest of no entity is of day 29.
  assertEquals(await keptDays(db, "visits", ""), [19, 20, 22, 23, 25, 26, 28, 29]);
  assertEquals(await keptDays(db, "visits", "customer"), [0, 3, 6, 9, 12, 15, 18, 21, 24, 27]);
  assertEquals(await keptDays(db, "orders", ""), [1, 2, 4, 5]);
});

Deno.test("forgetEvents() keeps what is being made records of an entity", async () => {
  await using database = await createTestDatabase("feature-store");
  const { db } = database;
  await storeDays(db, "visits", 30);
  await db`insert into described_sources (source, entity, filled_to) values ('visits', 'page', '')`;
  await forgetEvents(db, { keepDays: 10 });
  assertEquals((await keptDays(db, "visits", "")).length, 20);
  await db`update described_sources set filled_to = null`;
  await forgetEvents(db, { keepDays: 10 });
  assertEquals((await keptDays(db, "visits", "")).length, 8);
});
