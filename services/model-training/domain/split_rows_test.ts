import { assert, assertEquals, assertThrows } from "@std/assert";
import { AppError } from "shared/errors.ts";
import { createDataset, type Dataset } from "./dataset.ts";
import { foldRows, splitRows } from "./split_rows.ts";

const DAY = 86_400_000;

/** Twenty days of five entities, one row a day each; every fourth row is positive. */
function rowsOf(): Dataset {
  const rows = 100;
  const column = (value: (row: number) => number) =>
    Float64Array.from({ length: rows }, (_, row) => value(row));
  return createDataset({
    featureNames: ["a.b"],
    columns: [column((row) => row)],
    labels: column((row) => row % 4 === 0 ? 1 : 0),
    times: column((row) => Math.floor(row / 5) * DAY),
    entities: Array.from({ length: rows }, (_, row) => `["${row % 5}"]`),
  });
}

const context = { task: "binary", horizonMs: 2 * DAY, seed: 1 } as const;
const partition = (...parts: Int32Array[]) => parts.flatMap((part) => [...part]).toSorted((a, b) => a - b);
const all = Array.from({ length: 100 }, (_, row) => row);

Deno.test("splitRows() keeps all rows of an entity in one part when split by group", () => {
  const data = rowsOf();
  const { train, validation, test, dropped } = splitRows(
    data,
    { by: "group", test: 0.2, validation: 0.2 },
    context,
  );
  assertEquals([train.length, validation.length, test.length, dropped], [60, 20, 20, 0]);
  assertEquals(partition(train, validation, test), all);
  const entities = (rows: Int32Array) => new Set([...rows].map((row) => data.entities[row]));
  assert(entities(train).isDisjointFrom(entities(test)));
  assert(entities(train).isDisjointFrom(entities(validation)));
  assertEquals(splitRows(data, { by: "group", test: 0.2 }, context).test, test, "the seed says which");
});

Deno.test("splitRows() gives each part its share of each class when stratified", () => {
  const data = rowsOf();
  const { train, test } = splitRows(data, { by: "stratified", test: 0.2 }, context);
  const positives = (rows: Int32Array) => rows.filter((row) => data.labels[row] === 1).length;
  assertEquals([test.length, positives(test), train.length, positives(train)], [20, 5, 80, 20]);
  assertEquals(partition(train, test), all);
});

Deno.test("splitRows() by time leaves the label's horizon between all three parts", () => {
  const data = rowsOf();
  const { train, validation, test } = splitRows(
    data,
    { by: "time", test: "P4D", validation: "P3D" },
    context,
  );
  const days = (rows: Int32Array) => [...new Set([...rows].map((row) => data.times[row]! / DAY))];
  assertEquals([days(train), days(validation), days(test)], [
    [...Array(11).keys()],
    [12, 13, 14],
    [16, 17, 18, 19],
  ]);
});

Deno.test("foldRows() by time judges each fit on what is later, after the horizon", () => {
  const data = rowsOf();
  const rows = Int32Array.from(all);
  const folds = foldRows(data, rows, { ...context, by: "time", folds: 3 });
  const days = (part: Int32Array) => {
    const times = [...part].map((row) => data.times[row]! / DAY);
    return [Math.min(...times), Math.max(...times)];
  };
  assertEquals(folds.map(({ fit, judge }) => [days(fit), days(judge)]), [
    [[0, 3], [5, 9]],
    [[0, 8], [10, 14]],
    [[0, 13], [15, 19]],
  ]);
});

Deno.test("foldRows() by group and stratified judges every row once, by a fit that has not seen it", () => {
  const data = rowsOf();
  const rows = Int32Array.from(all);
  for (const by of ["group", "stratified"] as const) {
    const folds = foldRows(data, rows, { ...context, by, folds: 5 });
    assertEquals(partition(...folds.map(({ judge }) => judge)), all);
    for (const { fit, judge } of folds) {
      assertEquals(partition(fit, judge), all);
      if (by === "stratified") assertEquals(judge.filter((row) => data.labels[row] === 1).length, 5);
    }
  }
  assertThrows(() => foldRows(data, rows, { ...context, by: "group", folds: 6 }), AppError, "would be empty");
});
