import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { transaction } from "shared/db/connection.ts";
import { createTestDatabase } from "shared/testing/database.ts";
import { fillKeys } from "./fill_keys.ts";
import { readViewVersions } from "./repository/view_versions.ts";
import { DAY, recordsArbitrary, START } from "./testing/reference.ts";
import { KEY, World } from "./testing/world.ts";

Deno.test("fillKeys() makes the same buckets of a history in pages as of one at once", async () => {
  await using database = await createTestDatabase("feature-store");
  const { db } = database;
  let run = 0;
  await fc.assert(
    // Events have up to three versions: a page holds one of them at least, and what follows.
    fc.asyncProperty(recordsArbitrary, fc.integer({ min: 4, max: 9 }), async (records, recordsAtOnce) => {
      const world = new World(db, `run_${run++}`);
      await world.define();
      await world.store(records);
      const [version] = await readViewVersions(db, world.name);
      await transaction(db, (tx) => fillKeys(tx, version!, [KEY, '["2"]'], { recordsAtOnce }));
      for (const day of [0, 3, 20, 41, 80]) {
        const at = START + day * DAY + 17;
        assertEquals(await world.online(at, Infinity), await world.offline(at, Infinity));
      }
      const stored = () =>
        db`select size_ms, start_ms, max_time_ms, max_known_at_ms from buckets
        where view_version = ${version!.id} order by size_ms, start_ms`.values();
      const inPages = [...await stored()];
      await transaction(db, (tx) => fillKeys(tx, version!, [KEY]));
      assertEquals([...await stored()], inPages);
    }),
    { numRuns: 15 },
  );
});
