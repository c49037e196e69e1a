import { assert, assertEquals } from "@std/assert";
import type { Database } from "shared/db/connection.ts";
import { transaction } from "shared/db/connection.ts";
import { createTestDatabase } from "shared/testing/database.ts";
import { eventually } from "shared/testing/poll.ts";
import { createBucketReader } from "./bucket_reader.ts";
import type { Bucket } from "./domain/buckets.ts";
import { LIFETIME } from "./domain/view_storage.ts";
import {
  type BucketText,
  createRangeSet,
  decodeBuckets,
  type FoundBuckets,
  putBuckets,
} from "./repository/buckets.ts";

const HOUR = 3_600_000;
const lifetime = { viewVersion: 1, sizeMs: LIFETIME, fromMs: 0, toMs: 1 };
const hours = { viewVersion: 2, sizeMs: HOUR, fromMs: HOUR, toMs: 3 * HOUR };

/** Says in its only cell of whom and when it is. */
function bucketOf(key: string, startMs: number, of: { viewVersion: number; sizeMs: number } = lifetime) {
  return { ...of, key, startMs, maxTimeMs: startMs, maxKnownAtMs: startMs, cells: [[key, startMs]] };
}

type Found = [range: number, cells: Bucket["cells"]][];

function decoded(text: BucketText): Found {
  const found: Found = [];
  if (text !== undefined) decodeBuckets(text, (range, { cells }) => found.push([range, cells]));
  return found;
}

async function waitingStatements(db: Database): Promise<number> {
  const [row] = await db<{ waiting: number }[]>`
    select count(*) as waiting from pg_stat_activity
    where datname = current_database() and wait_event_type = 'Lock' and query like '%string_agg%'`;
  return row!.waiting;
}

Deno.test("createBucketReader() gives each reader what it asked for, by range and by start", async () => {
  await using database = await createTestDatabase("feature-store");
  const { db } = database;
  const rows = ['["1"]', '["it\'s \\"2\\", \\\\{}"]'].flatMap((key) => [
    bucketOf(key, 0),
    ...[2, 0, 1, 3].map((hour) => bucketOf(key, hour * HOUR, { viewVersion: 2, sizeMs: HOUR })),
  ]);
  await transaction(db, (tx) => putBuckets(tx, rows));
  const reader = createBucketReader(db);
  const [one, two] = rows.filter(({ viewVersion }) => viewVersion === 1).map(({ key }) => key) as [
    string,
    string,
  ];
  const [both, turned, none, nothing] = await Promise.all([
    reader.read([{ keys: [one, "unknown", two], set: createRangeSet([lifetime, hours]) }]),
    reader.read([{ keys: [two], set: createRangeSet([hours]) }, {
      keys: [one],
      set: createRangeSet([lifetime]),
    }]),
    reader.read([{ keys: [], set: createRangeSet([lifetime]) }, { keys: [one], set: createRangeSet([]) }]),
    reader.read([]),
  ]);
  const all = (key: string): Found => [[0, [[key, 0]]], [1, [[key, HOUR]]], [1, [[key, 2 * HOUR]]]];
  assertEquals(both.found.map((query) => query.map(decoded)), [[all(one), [], all(two)]]);
  assertEquals(turned.found.map((query) => query.map(decoded)), [
    [[[0, [[two, HOUR]]], [0, [[two, 2 * HOUR]]]]],
    [[[0, [[one, 0]]]]],
  ]);
  assertEquals(none.found, [[], [undefined]]);
  assert(nothing.snapshot !== "", "a read of nothing has a snapshot, too");
});

Deno.test("createBucketReader() gathers reads behind two statements, and each sees what was there when it asked", async () => {
  await using database = await createTestDatabase("feature-store");
  const { db } = database;
  const reader = createBucketReader(db);
  const read = (key: string) => reader.read([{ keys: [key], set: createRangeSet([lifetime]) }]);
  const started: Promise<FoundBuckets>[] = [];
  const names = Array.from({ length: 40 }, (_, number) => `["${number}"]`);
  await transaction(db, async (tx) => {
    await tx`lock table buckets in access exclusive mode`;
    for (const name of names.slice(0, 10)) started.push(read(name));
    await eventually(async () => assertEquals(await waitingStatements(db), 2));
    for (const name of names.slice(10)) started.push(read(name));
    await putBuckets(tx, names.map((name) => bucketOf(name, 0)));
    assertEquals(await waitingStatements(db), 2);
  });
  // Those of the third statement asked while the first ones waited.
  const found = (await Promise.all(started)).map(({ found: [ofKeys] }) => decoded(ofKeys![0]));
  assertEquals(found.slice(2), names.slice(2).map((name) => [[0, [[name, 0]]]]));
});

Deno.test("createBucketReader() fails only those whose statement failed", async () => {
  await using database = await createTestDatabase("feature-store");
  const reader = createBucketReader(database.db);
  const wrong = { ...lifetime, viewVersion: NaN };
  const [failed, right] = await Promise.allSettled([
    reader.read([{ keys: ['["1"]'], set: createRangeSet([wrong]) }]),
    reader.read([{ keys: ['["1"]'], set: createRangeSet([lifetime]) }]),
  ]);
  assertEquals([failed.status, right.status], ["rejected", "fulfilled"]);
});
