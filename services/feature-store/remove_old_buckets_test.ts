import { assert, assertEquals } from "@std/assert";
import type { Database } from "shared/db/connection.ts";
import { createTestDatabase } from "shared/testing/database.ts";
import type { EntityRecord } from "./domain/history.ts";
import { removeOldBuckets } from "./remove_old_buckets.ts";
import { DAY, HOUR, START } from "./testing/reference.ts";
import { World } from "./testing/world.ts";

const DAYS = 120;
const NEWEST = START + DAYS * DAY;
const features = {
  spend_7d: { aggregate: "sum", field: "amount", window: "P7D" },
  most_30d: { aggregate: "max", field: "amount", window: "P30D" },
  minutes: { aggregate: "count", window: "P2D" },
  all: { aggregate: "count", window: null },
} as const;

function record(time: number): EntityRecord {
  return { time, knownAt: time, id: `r${time}`, definition: 1, data: { amount: time % 9_700 / 100 } };
}

async function startWorld(db: Database): Promise<World> {
  const world = new World(db, "orders", { features });
  await world.define();
  await world.store(Array.from({ length: DAYS * 4 + 1 }, (_, slot) => record(START + slot * 6 * HOUR)));
  return world;
}

/** As if the notes of the last time had been made a while ago. */
async function waitForCopies(db: Database): Promise<void> {
  await db`update view_versions set intact_from_changed_at = intact_from_changed_at - interval '2 minutes'`;
}

async function bucketStarts(db: Database): Promise<number[]> {
  const rows = await db<{ start: number }[]>`
    select start_ms as start from buckets where size_ms > 0 order by start_ms`;
  return rows.map(({ start }) => start);
}

async function assertSameValues(world: World): Promise<void> {
  const before = [0, 1, 6, 7, 7.01, 8, 20, 37, 38, 60, DAYS - 1, DAYS + 1].map((days) => NEWEST - days * DAY);
  for (const at of [...before, NEWEST + HOUR, NEWEST + 20 * DAY]) {
    assertEquals(
      await world.online(at),
      await world.offline(at),
      `${(NEWEST - at) / DAY} days before the newest`,
    );
  }
}

Deno.test("removeOldBuckets() removes what no window reaches, once every copy knows, and changes no value", async () => {
  await using database = await createTestDatabase("feature-store");
  const { db } = database;
  const world = await startWorld(db);
  const remove = () =>
    removeOldBuckets({ db, now: () => Promise.resolve(NEWEST + 365 * DAY), bucketsAtOnce: 100 });
  const all = await bucketStarts(db);

  await remove();
  await remove();
  assertEquals(await bucketStarts(db), all);
  await assertSameValues(world);

  await waitForCopies(db);
  await remove();
  const kept = await bucketStarts(db);
  // A week in which a T may lie, and the longest window before it, which begins on its hop.
  assert(
    kept[0]! >= NEWEST - 37.5 * DAY && kept[0]! < NEWEST - 36.5 * DAY,
    `${(NEWEST - kept[0]!) / DAY} days`,
  );
  assertEquals(kept.at(-1), all.at(-1));
  await assertSameValues(world);

  await world.store([record(START + HOUR), record(NEWEST - 20 * DAY + 1)]);
  await assertSameValues(world);
  await remove();
  assertEquals((await bucketStarts(db))[0], kept[0]);
  await assertSameValues(world);
});

Deno.test("removeOldBuckets() does not believe in records from the future, nor runs ahead of the clock", async () => {
  await using database = await createTestDatabase("feature-store");
  const { db } = database;
  const world = await startWorld(db);
  await world.store([record(NEWEST + 3_650 * DAY)]);
  const now = NEWEST - 30 * DAY;
  const remove = () => removeOldBuckets({ db, now: () => Promise.resolve(now) });
  await remove();
  await waitForCopies(db);
  await remove();
  assert((await bucketStarts(db))[0]! < now - 36.5 * DAY);
  await assertSameValues(world);
});

Deno.test("removeOldBuckets() keeps what is read of a view that is gone until its version is retired, and ends when told to", async () => {
  await using database = await createTestDatabase("feature-store");
  const { db } = database;
  await startWorld(db);
  const all = await bucketStarts(db);
  await removeOldBuckets({ db, now: () => Promise.resolve(undefined) });
  await removeOldBuckets({ db, now: () => Promise.resolve(NEWEST), signal: AbortSignal.abort() });
  await waitForCopies(db);
  await removeOldBuckets({ db, now: () => Promise.resolve(NEWEST) });
  assertEquals(await bucketStarts(db), all);
});
