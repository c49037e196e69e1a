import { assertEquals } from "@std/assert";
import type { DataRecord } from "shared/contracts/envelope.ts";
import { countRows, createGivenReader, divideRows, type GivenRows, lastTime } from "./given_rows.ts";
import { createSpineReader } from "./given_spine.ts";

const START_MS = Date.UTC(2011, 4, 2);

function spineOf(rows: readonly DataRecord[], { columns = [] as string[], isText = false } = {}): GivenRows {
  const reader = createSpineReader({
    entity: "customer",
    keys: { customer: "string" },
    time: "t",
    columns,
    types: new Map(),
    isText,
    clockMs: Infinity,
  });
  for (const row of rows) reader.add(row);
  return reader.finish();
}

const row = (customer: string, hours: number, more: DataRecord = {}): DataRecord => ({
  customer,
  t: START_MS + hours * 3_600_000,
  ...more,
});

function contentOf(given: GivenRows): [key: string, hours: number, place: number][] {
  const reader = createGivenReader(given);
  return given.keys.flatMap((key) =>
    [...reader.rows(key)].map(({ at, place }) =>
      [key, (at - START_MS) / 3_600_000, place] satisfies [string, number, number]
    )
  );
}

Deno.test("arrangeRows() orders rows by key, T and place, and keeps repeated ones", () => {
  const given = spineOf([row("b", 3), row("a", 2), row("b", 1), row("a", 2), row("b", 3)]);
  assertEquals(contentOf(given), [
    ['["a"]', 2, 1],
    ['["a"]', 2, 3],
    ['["b"]', 1, 2],
    ['["b"]', 3, 0],
    ['["b"]', 3, 4],
  ]);
  assertEquals([countRows(given), lastTime(given)], [5, START_MS + 3 * 3_600_000]);
});

Deno.test("arrangeRows() arranges no rows", () => {
  const given = spineOf([]);
  assertEquals([given.keys, countRows(given), lastTime(given)], [[], 0, undefined]);
  assertEquals(divideRows(given, 1).map(contentOf), [[]]);
});

Deno.test("divideRows() gives every row to one part, in the order of the keys, whatever the number of parts", () => {
  // Some keys have many rows, most have one; more than a block of them.
  const rows = Array.from({ length: 700 }, (_, index) => row(`c${index % 7 === 0 ? 0 : index}`, index % 50));
  const given = spineOf(rows);
  for (const parts of [1, 2, 3, 8]) {
    const divided = divideRows(given, parts);
    assertEquals(divided.length, parts);
    assertEquals(divided.flatMap(contentOf), contentOf(given));
  }
  const [first, second] = divideRows(given, 2).map(countRows);
  assertEquals([first! > 250, second! > 250], [true, true]);
});

Deno.test("the columns of a spine keep their values; of CSV those of numbers alone are numbers", () => {
  const read = (given: GivenRows, column: string) => {
    const reader = createGivenReader(given);
    return [...reader.rows('["a"]')].map((one) => one.read(column));
  };
  const mixed = [true, "x", 1.5, null, { no: "scalar" }];
  const given = spineOf(mixed.map((value, index) => row("a", index, { value })), { columns: ["value"] });
  assertEquals(read(given, "value"), [true, "x", 1.5, null, null]);
  assertEquals(read(given, "other"), [null, null, null, null, null]);

  const texts = [{ n: "007", s: "7" }, { n: " ", s: " " }, { s: "x" }, { n: "-1e3", s: "7" }];
  const csv = spineOf(texts.map((more, index) => row("a", index, more)), {
    columns: ["n", "s"],
    isText: true,
  });
  assertEquals(read(csv, "n"), [7, null, null, -1000]);
  assertEquals(read(csv, "s"), ["7", " ", "x", "7"]);
});
