/** Online = offline = what the definition says, through the tables. @module */
import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { toInstant } from "shared/contracts/time.ts";
import { transaction } from "shared/db/connection.ts";
import { silentLogger } from "shared/log.ts";
import { createTestDatabase } from "shared/testing/database.ts";
import type { EntityRecord } from "./domain/history.ts";
import { fillSomething } from "./fill_views.ts";
import { createRangeSet, decodeBuckets, readRanges } from "./repository/buckets.ts";
import { insertRecords } from "./repository/records.ts";
import { readViewVersions } from "./repository/view_versions.ts";
import { assertMeaning, DAY, everyFeature, HOUR, recordsArbitrary, START } from "./testing/reference.ts";
import { KEY, World } from "./testing/world.ts";

const NAMES = Object.keys(everyFeature());
/** Kept in one cell with the features of another field. */
const ONE = "last_2_amount";

Deno.test("features mean online and offline what their definition says, whatever comes when", async () => {
  await using database = await createTestDatabase("feature-store");
  let run = 0;
  const retractions = fc.array(fc.record({ event: fc.integer({ min: 0, max: 60 }), late: fc.nat(5 * DAY) }), {
    maxLength: 3,
  });
  const times = fc.array(fc.integer({ min: START - DAY, max: START + 45 * DAY }), {
    minLength: 3,
    maxLength: 3,
  });
  await fc.assert(
    fc.asyncProperty(
      recordsArbitrary,
      retractions,
      times,
      fc.func(fc.nat()),
      fc.boolean(),
      async (events, retracted, times, go, fillsBetween) => {
        const world = new World(database.db, `run_${run++}`);
        await world.define();
        const records = [...events];
        for (const { event, late } of retracted) {
          const of = events.find(({ id }) => id === `e${event}`);
          if (of === undefined || records.some(({ id, retracted }) => retracted && id === of.id)) continue;
          records.push({ ...of, definition: 4, knownAt: of.time + late, data: {}, retracted: true });
        }
        // In four goes, versions of one event in any of them, in any order.
        const goes = Map.groupBy(records, ({ id, definition }) => go(`${id}/${definition}`) % 4);
        for (const records of goes.values()) {
          await world.store(records);
          if (fillsBetween) await world.fill();
        }
        // Newer versions make buckets stale until they are made anew: reads are right before and after.
        for (const filled of [false, true]) {
          if (filled) await world.fill();
          for (const at of times) {
            const online = await world.online(at);
            assertEquals(online, await world.offline(at));
            const [alone] = (await world.online(at, at, [ONE])).values;
            assertEquals(alone, online.values[NAMES.indexOf(ONE)]);
            if (online.statuses[0] === "NOT_FOUND") continue;
            NAMES.forEach((name, index) =>
              assertMeaning(
                { name, feature: world.body.features[name]!, value: online.values[index]! },
                records,
                at,
              )
            );
          }
          const now = Math.max(...records.map(({ time }) => time), START) + HOUR;
          assertEquals(await world.online(now, Infinity), await world.offline(now, Infinity));
        }
      },
    ),
    { numRuns: Number(Deno.env.get("MEANING_RUNS") ?? 25) },
  );
});

Deno.test("a year in hops of a minute is read from few buckets, and gives what records give", async () => {
  await using database = await createTestDatabase("feature-store");
  const features = {
    spend: { aggregate: "sum", field: "amount", window: "P365D" },
    kinds: { aggregate: "distinct_count", field: "kind", window: "P365D" },
    hour: { aggregate: "count", window: "PT1H" },
  } as const;
  const world = new World(database.db, "minutes", { hop: "PT1M", features });
  await world.define();
  const records = Array.from({ length: 3_000 }, (_, index): EntityRecord => {
    const time = START + index * 5 * HOUR + index % 50 * 61_007;
    return {
      time,
      knownAt: time,
      id: `r${index}`,
      definition: 1,
      data: { amount: index % 97 / 100, kind: index % 83 },
    };
  });
  await world.store(records);
  for (
    const at of [START + 100 * DAY + 17, START + 500 * DAY + 12_345, START + 620 * DAY, START + 700 * DAY]
  ) {
    assertEquals(await world.online(at), await world.offline(at));
  }
  const now = START + 640 * DAY;
  const [version] = await readViewVersions(database.db, "minutes");
  const [view] = world.plan().views;
  const ranges = view!.ranges(now).map((range) => ({ viewVersion: version!.id, ...range }));
  const { found: [ofKeys] } = await readRanges(database.db, [{ keys: [KEY], set: createRangeSet(ranges) }]);
  let read = 0;
  decodeBuckets(ofKeys![0]!, () => read++);
  assert(read < 120, `${read} buckets were read for 1,752 records`);
});

Deno.test("a view is filled from what was stored before, goes on where it broke off, and takes what comes meanwhile", async () => {
  await using database = await createTestDatabase("feature-store");
  const { db } = database;
  const world = new World(db, "orders");
  // Stored when nothing described the source.
  await transaction(db, (tx) =>
    insertRecords(
      tx,
      Array.from({ length: 2_500 }, (_, index) => ({
        source: "orders",
        id: `o${index}`,
        definition: 1,
        entity: "",
        entityKey: "",
        eventTime: toInstant(START + index * HOUR),
        knownAt: toInstant(START + index * HOUR),
        data: JSON.stringify({ customer_id: index % 250, amount: 1, kind: "a" }),
        retracted: false,
      })),
    ));
  await db`
    insert into definitions (kind, name, version, project, body, body_hash, actor)
    values ('entity', 'customer', 1, 'shop', '{"keys":{"customer_id":"integer"}}', 'hash', 'test')`;
  await world.define();
  const status = async () => (await readViewVersions(db, "orders"))[0]!;
  // Three pages of events, and a first one of keys.
  for (let round = 0; round < 5; round++) await fillSomething(db, silentLogger);
  assertEquals([(await status()).status, (await status()).keysFilled], ["building", 100]);
  const time = START + 30 * HOUR;
  const late: EntityRecord = {
    time,
    knownAt: time,
    id: "late",
    definition: 1,
    data: { amount: 5, kind: "b" },
  };
  await world.store([late]);
  assertEquals(await world.online(START + 200 * DAY), await world.offline(START + 200 * DAY));
  await world.fill();
  assertEquals((await status()).status, "ready");
  const filled = await world.online(START + 200 * DAY);
  assertEquals(filled, await world.offline(START + 200 * DAY));
  assertEquals(filled.values[NAMES.indexOf("sum_4")], 15);
  const [count] = await db<{ keys: number }[]>`select count(*) as keys from buckets where size_ms = 0`;
  assertEquals(count!.keys, 250);
});
