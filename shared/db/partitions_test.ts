import { assertEquals, assertRejects } from "@std/assert";
import { silentLogger } from "../log.ts";
import { createTestDatabase } from "../testing/database.ts";
import type { Database } from "./connection.ts";
import { createDailyPartitions } from "./partitions.ts";

const options = { table: "readings", keepDays: 3, log: silentLogger };

async function createTable(db: Database): Promise<void> {
  await db`create table readings (at timestamptz not null, value int) partition by range (at)`;
}

const days = async (db: Database) =>
  (await db`select at::text from readings order by at`).map(({ at }) => at);

Deno.test("ensure() makes room for a day to its last instant, and may be called again by another copy", async () => {
  await using database = await createTestDatabase("alert");
  const { db } = database;
  await createTable(db);
  await assertRejects(
    () => db`insert into readings (at) values ('2011-05-02T00:00:00Z')`,
    Error,
    "partition",
  );
  await Promise.all(
    [1, 2, 3].map(() => createDailyPartitions(db, options).ensure(new Set(["2011-05-02", "2011-05-03"]))),
  );
  await db`insert into readings (at) values ('2011-05-02T00:00:00Z'), ('2011-05-02T23:59:59.999Z'), ('2011-05-03T00:00:00Z')`;
  assertEquals((await days(db)).length, 3);
});

Deno.test("sweep() drops the days before the retention, and ensure() makes one again when a row needs it", async () => {
  await using database = await createTestDatabase("alert");
  const { db } = database;
  await createTable(db);
  const partitions = createDailyPartitions(db, options);
  await partitions.ensure(new Set(["2011-05-01", "2011-05-02", "2011-05-03", "2011-05-04"]));
  await db`insert into readings (at) values ('2011-05-01T12:00:00Z'), ('2011-05-02T12:00:00Z')`;

  assertEquals(await partitions.sweep(new Date("2011-05-04T12:00:00Z")), ["2011-05-01"]);
  assertEquals((await days(db)).length, 1);
  await partitions.ensure(new Set(["2011-05-01"]));
  await db`insert into readings (at) values ('2011-05-01T12:00:00Z')`;
  assertEquals((await days(db)).length, 2);
});

Deno.test("ensure() makes a day again that another copy has dropped", async () => {
  await using database = await createTestDatabase("alert");
  const { db } = database;
  await createTable(db);
  const [one, other] = [createDailyPartitions(db, options), createDailyPartitions(db, options)];
  const late = new Set(["2011-05-01"]);
  await one.ensure(late);
  assertEquals(await other.sweep(), ["2011-05-01"]);
  await one.ensure(late);
  await db`insert into readings (at) values ('2011-05-01T12:00:00Z')`;
  assertEquals((await days(db)).length, 1);
});
