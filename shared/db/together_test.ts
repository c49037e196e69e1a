import { assertEquals, assertRejects } from "@std/assert";
import { transaction } from "./connection.ts";
import { createTestDatabase } from "../testing/database.ts";
import { together } from "./together.ts";

Deno.test("together() gives all answers", async () => {
  assertEquals(await together(Promise.resolve(1), Promise.resolve("two")), [1, "two"]);
  assertEquals(await together(), []);
});

Deno.test("together() lets nothing be written once its transaction failed, and tells the cause", async () => {
  await using database = await createTestDatabase("feature-store");
  const { db } = database;
  await db`create table written (number integer primary key)`;
  await assertRejects(
    () =>
      transaction(db, async (tx) => {
        const failing = tx`insert into written values ('none'::text::integer)`;
        const late = async () => {
          await failing.catch(() => {});
          await tx`select 1`.catch(() => {});
          await tx`insert into written values (1)`;
        };
        await together(failing, late());
      }),
    Error,
    "invalid input syntax",
  );
  assertEquals(await db`select number from written`.values().then((rows) => [...rows]), []);
});
