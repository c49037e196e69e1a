import { assertEquals } from "@std/assert";
import { createEmptyDatabase } from "../testing/database.ts";
import { arrayText } from "./array_text.ts";

Deno.test("arrayText() is read by PostgreSQL as what was written, whatever stands in it", async () => {
  await using database = await createEmptyDatabase();
  const texts = [
    "",
    "plain",
    "NULL",
    "null",
    ' "quoted" ',
    "back\\slash\\",
    "{a,b}",
    "a\nb\tc",
    "\u20ac",
    "'",
    null,
  ];
  const numbers = [0, -1, 2 ** 53 - 1, null];
  const [row] = await database.db<{ texts: unknown; numbers: unknown; none: unknown }[]>`
    select to_json(${arrayText(texts)}::text::text[]) as texts,
      to_json(${arrayText(numbers)}::text::bigint[]) as numbers,
      to_json(${arrayText([])}::text::text[]) as none`;
  assertEquals(row, { texts, numbers, none: [] });
});
