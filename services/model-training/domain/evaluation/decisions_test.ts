import { assertAlmostEquals, assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import { AppError } from "shared/errors.ts";
import {
  calibratedThreshold,
  cheapestThreshold,
  classReport,
  confusion,
  thresholdReport,
} from "./decisions.ts";
import { scoreRows } from "./metrics.ts";

const scored = (labels: number[], outputs: number[]) =>
  scoreRows(Float64Array.from(labels), Float64Array.from(outputs));

Deno.test("confusion() counts by actual and predicted class", () => {
  const rows = scored([0, 1, 0, 1], [0.1, 0.4, 0.7, 0.9]);
  assertEquals(confusion(rows), [[1, 1], [1, 1]]);
  assertEquals(confusion(rows, 0.3), [[1, 1], [0, 2]]);
  const wide = scored([0, 2], [0.5, 0.3, 0.2, 0.1, 0.6, 0.3]);
  assertEquals(confusion(wide), [[1, 0, 0], [0, 0, 0], [0, 1, 0]]);
});

Deno.test("cheapestThreshold() finds the least cost that any threshold has", () => {
  const row = fc.tuple(fc.constantFrom(0, 1), fc.constantFrom(0.1, 0.2, 0.5, 0.6, 0.9));
  const cost = fc.constantFrom(0, 1, 5);
  fc.assert(fc.property(fc.array(row, { minLength: 1, maxLength: 20 }), cost, cost, (list, fp, fn) => {
    const labels = list.map(([label]) => label);
    const outputs = list.map(([, output]) => output);
    const costAt = (threshold: number) =>
      list.reduce((sum, [label, output]) => {
        const isPositive = output >= threshold;
        return sum + (isPositive && label === 0 ? fp : !isPositive && label === 1 ? fn : 0);
      }, 0) / list.length;
    const found = cheapestThreshold(scored(labels, outputs), { falsePositive: fp, falseNegative: fn });
    const least = Math.min(...[0, 0.15, 0.3, 0.55, 0.7, 1.1].map(costAt));
    assertAlmostEquals(costAt(found), least, 1e-12);
  }));
});

Deno.test("calibratedThreshold() is where the expected costs of both answers are the same", () => {
  assertEquals(calibratedThreshold({ falsePositive: 1, falseNegative: 3 }), 0.25);
  assertEquals(calibratedThreshold({ falsePositive: 0, falseNegative: 0 }), 0.5);
});

Deno.test("thresholdReport() tells what a threshold costs, and how often it is right", () => {
  assertEquals(thresholdReport([[5, 1], [2, 2]], { falsePositive: 1, falseNegative: 10 }), {
    cost: 2.1,
    precision: 2 / 3,
    recall: 0.5,
    f1: 4 / 7,
  });
  const nothing = { cost: 0, precision: 0, recall: 0, f1: 0 };
  assertEquals(thresholdReport([[4, 0], [0, 0]], { falsePositive: 1, falseNegative: 1 }), nothing);
});

Deno.test("cheapestThreshold() refuses negative costs and several classes", () => {
  const rows = scored([0, 1], [0.1, 0.9]);
  assertThrows(() => cheapestThreshold(rows, { falsePositive: -1, falseNegative: 1 }), AppError, "0 or more");
  const wide = scored([0, 1], [0.5, 0.3, 0.2, 0.1, 0.6, 0.3]);
  assertThrows(
    () => cheapestThreshold(wide, { falsePositive: 1, falseNegative: 1 }),
    AppError,
    "two classes",
  );
});

Deno.test("classReport() tells how each class fares, also one that the model does not know", () => {
  const wide = scored([0, 0, 1, 2, 2], [0.9, 0.1, 0.4, 0.6, 0.2, 0.8, 0.7, 0.3, 0.4, 0.6]);
  const table = confusion(wide);
  assertEquals(table, [[1, 1, 0], [0, 1, 0], [1, 1, 0]]);
  assertEquals(classReport(table, { names: ["a", "b", "c"], trained: [5, 6] }), [
    { class: "a", trainRows: 5, rows: 2, precision: 0.5, recall: 0.5, f1: 0.5 },
    { class: "b", trainRows: 6, rows: 1, precision: 1 / 3, recall: 1, f1: 0.5 },
    { class: "c", trainRows: 0, rows: 2, precision: null, recall: 0, f1: 0 },
  ]);
});
