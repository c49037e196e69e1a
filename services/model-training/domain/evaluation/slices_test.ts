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
