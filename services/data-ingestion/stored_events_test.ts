import { assertEquals } from "@std/assert";
import { createTestDatabase } from "shared/testing/database.ts";
import { listDaysOf } from "./repository/stored_events.ts";

Deno.test("listDaysOf() leaves out the days of which retention has removed all", async () => {
  await using database = await createTestDatabase("data-ingestion");
  const { db } = database;
  await db`
    insert into ledger (source, day, received, stored, removed)
    values ('orders', '2026-01-01', 3, 3, 3), ('orders', '2026-01-02', 3, 3, 2), ('orders', '2026-01-03', 3, 3, 0),
      ('clicks', '2026-01-04', 3, 3, 0)`;
  assertEquals(await listDaysOf(db, "orders"), ["2026-01-03", "2026-01-02"]);
});
