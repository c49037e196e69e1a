import { assertEquals } from "@std/assert";
import { datasetOf, textColumn } from "../../testing/datasets.ts";
import { scoreRows } from "./metrics.ts";
import { evaluateSlices } from "./slices.ts";

Deno.test("evaluateSlices() judges by text, by range and by what is missing", () => {
  const dataset = datasetOf(
    [textColumn(["a", "a", "b", "b", null, "c"]), [1, 2, 3, 4, NaN, 5]],
    [1, 0, 1, 1, 0, 1],
  );
  const scored = scoreRows(dataset.labels, Float64Array.of(0.9, 0.8, 0.9, 0.2, 0.1, 0.9));
  const slices = (feature: number, most: number) =>
    evaluateSlices("binary", scored, { dataset, feature }, { most, minRows: 1 })
      .map(({ value, rows, metrics }) => [value, rows, metrics.accuracy]);
  assertEquals(slices(0, 3), [["a", 2, 0.5], ["b", 2, 0.5], ["missing", 1, 1]]);
  assertEquals(slices(1, 2), [["<= 3", 3, 2 / 3], ["> 3", 2, 0.5]]);
  assertEquals(slices(1, 3).length, 3);
});

Deno.test("evaluateSlices() makes ranges no smaller than it tells of, and has the interval of each measured", () => {
  const values = Array.from({ length: 100 }, (_, row) => row);
  const dataset = datasetOf([values], values.map((row) => row % 2));
  const scored = scoreRows(dataset.labels, Float64Array.from(values, () => 0.5));
  const measured: number[][] = [];
  const slices = evaluateSlices("binary", scored, { dataset, feature: 0 }, {
    minRows: 30,
    intervalOf(rows) {
      measured.push([rows[0]!, rows.at(-1)!]);
      return [0, 1];
    },
  });
  assertEquals(slices.map(({ value, rows, interval }) => [value, rows, interval]), [
    ["<= 33", 34, [0, 1]],
    ["(33, 66]", 33, [0, 1]],
    ["> 66", 33, [0, 1]],
  ]);
  assertEquals(measured, [[0, 33], [34, 66], [67, 99]]);
});
