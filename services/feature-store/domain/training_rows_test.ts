import { assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import type { FeatureValue } from "shared/contracts/feature_store.ts";
import { AppError } from "shared/errors.ts";
import type { TrainingSetTable } from "shared/training_set_table.ts";
import { BLOCK_ROWS } from "./cells.ts";
import { joinParts } from "./joined_rows.ts";
import { createRowLimit, createTrainingRows, type TrainingPart, type TrainingRow } from "./training_rows.ts";

const DAY = 86_400_000;

const row = (
  entity: string,
  day: number,
  value: FeatureValue,
  more: Partial<TrainingRow> = {},
): TrainingRow => ({
  entity,
  atMs: day * DAY,
  label: 0,
  mature: true,
  carried: [],
  features: {
    values: [value],
    statuses: [value === null ? "NULL" : "PRESENT"],
    eventTimes: [null],
    approximate: [],
  },
  ...more,
});

const oneFeature = (maxCells = 10_000) => createRowLimit({ features: 1, maxCells });

function partOf(
  added: readonly TrainingRow[],
  { carried = 0, limit = oneFeature() } = {},
): TrainingPart {
  const rows = createTrainingRows({ carried, limit });
  for (const one of added) rows.add(one);
  return rows.finish();
}

const join = (parts: readonly TrainingPart[], options: { carried?: string[]; marksMature?: boolean } = {}) =>
  joinParts(parts, { features: ["v.f"], carried: [], marksMature: false, ...options });

function tableOf(parts: readonly TrainingPart[], options: Parameters<typeof join>[1] = {}): TrainingSetTable {
  const rows = join(parts, options);
  return rows.slice(0, rows.length);
}

Deno.test("joinParts() orders rows by T, then by the order of the entities", () => {
  const parts = [
    partOf([row("a", 0, 1), row("a", 7, null, { label: 1 })]),
    partOf([row("b", 0, 2), row("b", 7, 4, { label: null, mature: false })]),
  ];
  assertEquals(parts.map(({ immature }) => immature), [0, 1]);
  const { entities, times, labels, features } = tableOf(parts);
  assertEquals(entities, ["a", "b", "a", "b"]);
  assertEquals([...times].map((time) => time / DAY), [0, 0, 7, 7]);
  assertEquals([...features[0]!.values], [1, 2, NaN, 4]);
  assertEquals([...labels], [0, 0, 1, NaN]);
  const described = join(parts);
  assertEquals(described.times, { fromMs: 0, toMs: 7 * DAY });
  assertEquals([...described.columns(1, 2)], [{
    column: features[0]!,
    statuses: { PRESENT: 3, NULL: 1, NOT_FOUND: 0, EXPIRED: 0 },
  }]);
});

Deno.test("columns() gives each column whole, one after the other, however many there are", () => {
  const names = Array.from({ length: 20 }, (_, index) => `v.f${index}`);
  const rows = createTrainingRows({ carried: 0, limit: createRowLimit({ features: 20, maxCells: 1e6 }) });
  for (let at = 0; at < 3; at++) {
    rows.add({
      entity: "a",
      atMs: at,
      features: {
        values: names.map((_, index) => index * 10 + at),
        statuses: names.map(() => "PRESENT" as const),
        eventTimes: names.map(() => null),
        approximate: [],
      },
      label: null,
      mature: true,
      carried: [],
    });
  }
  const joined = joinParts([rows.finish()], { features: names, carried: [], marksMature: false });
  const read = joined.columns(3, 18).map(({ column: { name, values } }) => [name, ...values]).toArray();
  assertEquals(
    read,
    names.slice(2, 17).map((name, index) => [name, ...[0, 1, 2].map((at) => (index + 2) * 10 + at)]),
  );
});

Deno.test("joinParts() keeps the places of a given spine, and what it carries", () => {
  const parts = [
    partOf([
      row("a", 7, 1, { place: 2, carried: ["x"], mature: false }),
      row("a", 0, 1, { place: 0, carried: [null] }),
    ], { carried: 1 }),
    partOf([row("b", 7, 1, { place: 1, carried: ["a"] })], { carried: 1 }),
  ];
  const { entities, carried, mature } = tableOf(parts, { carried: ["shop"], marksMature: true });
  assertEquals(entities, ["a", "b", "a"]);
  assertEquals(carried, [{
    name: "shop",
    type: "text",
    values: new Float64Array([NaN, 0, 1]),
    categories: ["a", "x"],
  }]);
  assertEquals([...mature!], [1, 1, 0]);
});

Deno.test("joinParts() gives columns the type of what is in them", () => {
  const columnOf = (...values: FeatureValue[]) => {
    const [column] = tableOf([partOf(values.map((value) => row("a", 0, value)))]).features;
    const { name: _, values: cells, ...type } = column!;
    return [[...cells], type];
  };
  assertEquals(columnOf(true, null, false), [[1, NaN, 0], { type: "boolean" }]);
  assertEquals(columnOf(true, 2), [[1, 2], {}]);
  assertEquals(columnOf(null), [[NaN], {}]);
  assertEquals(columnOf("b", null, "a", "b"), [[1, NaN, 0, 1], { type: "text", categories: ["a", "b"] }]);
  assertEquals(columnOf(1.5, "b", true), [[0, 1, 2], { type: "text", categories: ["1.5", "b", "true"] }]);
  assertEquals(columnOf(true, 1, "1"), [[1, 0, 0], { type: "text", categories: ["1", "true"] }]);
});

Deno.test("joinParts() gives a label the type of what it holds", () => {
  const typeOf = (...labels: FeatureValue[]) => {
    const { labels: cells, labelType, labelCategories } = tableOf([
      partOf(labels.map((label) => row("a", 0, 1, { label }))),
    ]);
    return [[...cells], labelType, labelCategories];
  };
  assertEquals(typeOf(true, null, false), [[1, NaN, 0], "boolean", undefined]);
  assertEquals(typeOf(true, 2), [[1, 2], undefined, undefined]);
  assertEquals(typeOf("b", null, "a"), [[1, NaN, 0], undefined, ["a", "b"]]);
});

Deno.test("joinParts() gives the same table however rows are divided into parts", () => {
  const value = fc.oneof(
    fc.constant(null),
    fc.boolean(),
    fc.integer(),
    fc.double({ noNaN: true }),
    fc.string(),
  );
  // Mostly of one kind, as columns are, else of any.
  const values = fc.oneof(
    fc.array(fc.oneof(fc.constant(null), fc.boolean())),
    fc.array(fc.oneof(fc.constant(null), fc.integer())),
    fc.array(value),
  );
  fc.assert(
    fc.property(values, fc.array(fc.nat(100)), (values, cuts) => {
      const rows = values.map((value, index) => row(`e${index}`, index % 3, value, { label: value }));
      const ends = [...new Set([...cuts.filter((cut) => cut < rows.length), rows.length])].sort((a, b) =>
        a - b
      );
      const parts = ends.map((end, index) => partOf(rows.slice(ends[index - 1] ?? 0, end)));
      assertEquals(tableOf(parts), tableOf([partOf(rows)]));
    }),
  );
});

Deno.test("createTrainingRows() refuses more than may be held by all threads, and holds more than a block", () => {
  const limit = oneFeature(2);
  const [one, other] = [createTrainingRows({ carried: 0, limit }), createTrainingRows({ carried: 0, limit })];
  one.add(row("a", 0, 1));
  other.add(row("b", 0, 1));
  assertEquals(assertThrows(() => one.add(row("a", 7, 1)), AppError).code, "too_large");
  const many = Array.from({ length: 3 * BLOCK_ROWS + 1 }, (_, index) => row(`e${index}`, 0, index));
  assertEquals(tableOf([partOf(many)]).features[0]!.values.at(-1), 3 * BLOCK_ROWS);
});
