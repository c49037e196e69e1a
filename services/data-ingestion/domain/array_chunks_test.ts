import { assertEquals, assertThrows } from "@std/assert";
import { AppError } from "shared/errors.ts";
import { chunkArray } from "./array_chunks.ts";

Deno.test("chunkArray() divides an array by records and by bytes", () => {
  const small = chunkArray(Array.from({ length: 2_500 }, (_, n) => ({ n })));
  assertEquals(small.map(({ records }) => records), [1_000, 1_000, 500]);
  assertEquals(
    small.flatMap(({ data }) => JSON.parse(new TextDecoder().decode(data)) as { n: number }[]).map(({ n }) =>
      n
    ),
    Array.from({ length: 2_500 }, (_, n) => n),
  );
  const text = "x".repeat(300_000);
  assertEquals(chunkArray([text, text, text]).map(({ records }) => records), [1, 1, 1]);
});

Deno.test("chunkArray() refuses a record that no message can hold", () => {
  const error = assertThrows(
    () => chunkArray([1, "x".repeat(900_000)]),
    AppError,
    "record 1 has 900002 bytes",
  );
  assertEquals(error.code, "too_large");
});
