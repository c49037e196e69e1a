import { assertEquals } from "@std/assert";
import { datasetOf } from "../testing/datasets.ts";
import { hintsOf } from "./hints.ts";
import { Random } from "./random.ts";

const ROWS = 400;
const random = new Random(5);
const labels = Float64Array.from({ length: ROWS }, () => random.below(2));
const of = (value: (row: number) => number) => Float64Array.from({ length: ROWS }, (_, row) => value(row));
const kinds = (
  columns: Parameters<typeof datasetOf>[0],
  task: "binary" | "regression" = "binary",
  own = labels,
) => hintsOf(datasetOf(columns, own), task).map(({ kind, feature }) => `${feature} ${kind}`);

Deno.test("hintsOf() finds features that explain the label alone, whichever way", () => {
  assertEquals(
    kinds([
      of((row) => labels[row]! * 3 + random.uniform()),
      of((row) => -labels[row]!),
      of((row) => labels[row] === 1 ? NaN : random.uniform()),
      of(() => random.uniform()),
      { values: of((row) => labels[row]! * 2 + random.below(2)), categories: ["a", "b", "c", "d"] },
    ]),
    ["view.f0 explains_label", "view.f1 explains_label", "view.f2 explains_label", "view.f4 explains_label"],
  );
  const values = of((row) => (row - 200) ** 2);
  assertEquals(kinds([of((row) => row), of(() => random.uniform())], "regression", values), [
    "view.f0 explains_label",
  ]);
});

Deno.test("hintsOf() finds instants later than T, in seconds and milliseconds, and leaves counts alone", () => {
  const start = Date.UTC(2026, 0, 1);
  const later = datasetOf([
    of((row) => (start + row * 3_600_000 + (row % 4 === 0 ? 86_400_000 * 30 : -86_400_000)) / 1_000),
    of((row) => start + row * 3_600_000 - 86_400_000),
    of((row) => row),
  ], labels);
  const hints = hintsOf({ ...later, times: of((row) => start + row * 3_600_000) }, "binary");
  assertEquals(hints.map(({ kind, feature, value }) => [kind, feature, value]), [
    ["younger_than_t", "view.f0", 0.25],
  ]);
});

Deno.test("hintsOf() names what holds nothing to learn", () => {
  assertEquals(kinds([of(() => NaN), of(() => 7)]), ["view.f0 missing", "view.f1 constant"]);
});
