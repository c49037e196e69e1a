import { assertAlmostEquals, assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import { AppError } from "shared/errors.ts";
import { evaluate, METRICS, metricValue, scoreRows } from "./metrics.ts";

const scored = (labels: number[], outputs: number[]) =>
  scoreRows(Float64Array.from(labels), Float64Array.from(outputs));

Deno.test("evaluate() gives the binary metrics as computed by hand", () => {
  // Pairs (positive, negative): 0.8>0.6, 0.8>0.2, 0.6=0.6, 0.6>0.2: 3.5 of 4 are ranked rightly.
  const values = evaluate("binary", scored([1, 1, 0, 0], [0.8, 0.6, 0.6, 0.2]));
  assertEquals(Object.keys(values).sort(), [
    "accuracy",
    "auc",
    "average_precision",
    "brier",
    "calibration_error",
    "f1",
    "log_loss",
  ]);
  // Two of the three called positive are, and both positives are called so.
  assertAlmostEquals(values.f1!, 2 * 2 / (3 + 2));
  // Bins at 0.8, at 0.6 (one of two happens) and at 0.2.
  assertAlmostEquals(values.calibration_error!, (0.2 + 0.2 + 0.2) / 4);
  assertAlmostEquals(values.auc!, 3.5 / 4);
  // Precision 1 for the first half of the recall, then 2 of 3 for the other.
  assertAlmostEquals(values.average_precision!, 0.5 * 1 + 0.5 * (2 / 3));
  assertAlmostEquals(values.log_loss!, -(Math.log(0.8) + Math.log(0.6) + Math.log(0.4) + Math.log(0.8)) / 4);
  assertAlmostEquals(values.brier!, (0.04 + 0.16 + 0.36 + 0.04) / 4);
  assertAlmostEquals(values.accuracy!, 0.75);
});

Deno.test("evaluate() gives the regression metrics as computed by hand", () => {
  const values = evaluate("regression", scored([1, 2, 6], [2, 2, 4]));
  assertAlmostEquals(values.rmse!, Math.sqrt(5 / 3));
  assertAlmostEquals(values.mae!, 1);
  assertAlmostEquals(values.mape!, (1 + 0 + 1 / 3) / 3);
  assertAlmostEquals(values.pinball!, 0.5);
  // The labels' mean is 3, their squared distances from it 4 + 1 + 9.
  assertAlmostEquals(values.r2!, 1 - 5 / 14);
});

Deno.test("evaluate() leaves out what is not defined for one class or one value", () => {
  assertEquals(Object.keys(evaluate("binary", scored([1, 1], [0.8, 0.6]))).sort(), [
    "accuracy",
    "brier",
    "calibration_error",
    "f1",
    "log_loss",
  ]);
  assertEquals(Object.keys(evaluate("regression", scored([1, 1], [0.8, 0.6]))).sort(), [
    "mae",
    "mape",
    "pinball",
    "rmse",
  ]);
});

Deno.test("metricValue() refuses AUC on one class", () => {
  const error = assertThrows(() => metricValue("auc", scored([0, 0], [0.1, 0.2])), AppError);
  assertEquals(error.message, "Cannot compute auc over 2 rows: the labels must not all be the same");
});

Deno.test("metricValue() keeps log loss finite for a wrong certainty", () => {
  assertAlmostEquals(metricValue("log_loss", scored([1, 0], [0, 0])), -Math.log(Number.EPSILON) / 2);
});

Deno.test("scoreRows() refuses no rows, unequal lengths and outputs that are not finite", () => {
  assertThrows(() => scored([], []), AppError, "there are no rows");
  assertThrows(() => scored([1, 0], [1, 2, 3]), AppError, "2 labels have 3 outputs");
  assertThrows(() => scored([1], [Infinity]), AppError, "the output is Infinity in row 0");
});

Deno.test("metricValue() of AUC agrees with counting every pair", () => {
  const rows = fc.array(fc.tuple(fc.constantFrom(0, 1), fc.integer({ min: 0, max: 5 })), { minLength: 2 })
    .filter((list) => new Set(list.map(([label]) => label)).size === 2);
  fc.assert(fc.property(rows, (list) => {
    let right = 0;
    let pairs = 0;
    for (const [positive, high] of list) {
      for (const [negative, low] of list) {
        if (positive !== 1 || negative !== 0) continue;
        pairs++;
        right += high > low ? 1 : high === low ? 0.5 : 0;
      }
    }
    assertAlmostEquals(
      metricValue("auc", scored(list.map(([label]) => label), list.map(([, output]) => output))),
      right / pairs,
    );
  }));
});

Deno.test("METRICS count a row of weight two as two rows", () => {
  const [labels, outputs] = [[1, 0, 1, 0, 1], [0.7, 0.6, 0.6, 0.1, 0.3]];
  const repeated = [0, 1, 1, 2, 4, 4, 4];
  const once = scored(repeated.map((row) => labels[row]!), repeated.map((row) => outputs[row]!));
  for (const [name, metric] of Object.entries(METRICS)) {
    const weighted = metric.compute(scored(labels, outputs), Float64Array.of(1, 2, 1, 0, 3));
    const expected = metric.compute(once, new Float64Array(7).fill(1));
    if (Number.isNaN(expected)) assertEquals(weighted, NaN, name);
    else assertAlmostEquals(weighted, expected, 1e-12, name);
  }
});

Deno.test("evaluate() gives the metrics of several classes as computed by hand", () => {
  const values = evaluate("multiclass", scored([0, 1, 2], [0.6, 0.3, 0.1, 0.2, 0.5, 0.3, 0.5, 0.1, 0.4]));
  assertAlmostEquals(values.log_loss!, -(Math.log(0.6) + Math.log(0.5) + Math.log(0.4)) / 3);
  assertAlmostEquals(values.accuracy!, 2 / 3);
  assertAlmostEquals(
    values.brier!,
    (0.16 + 0.09 + 0.01 + 0.04 + 0.25 + 0.09 + 0.25 + 0.01 + 0.36) / 3,
  );
  // Each class against the others: of its two pairs, class 0 and 1 rank both rightly, and so does class 2.
  assertAlmostEquals(values.auc!, 1);
  // F1 of class 0: said twice, right once of one; of class 1: 1; of class 2: never said.
  assertAlmostEquals(values.f1!, (2 / 3 + 1 + 0) / 3);
  // Said 0.6, 0.5, 0.5; right, right, wrong: the two at 0.5 share a bin.
  assertAlmostEquals(values.calibration_error!, (0.4 + 0) / 3);
});

Deno.test("evaluate() takes every answer for wrong where the class is one that the model does not know", () => {
  const labels = Float64Array.of(0, 1, 2);
  const rows = scoreRows(labels, Float64Array.of(0.9, 0.1, 0.2, 0.8, 0.6, 0.4));
  const found = evaluate("multiclass", rows);
  assertAlmostEquals(found.accuracy!, 2 / 3, 1e-12);
  assertAlmostEquals(found.brier!, (2 * 0.01 + 2 * 0.04 + 0.36 + 0.16 + 1) / 3, 1e-12);
  assertAlmostEquals(found.log_loss!, -(Math.log(0.9) + Math.log(0.8) + Math.log(Number.EPSILON)) / 3, 1e-12);
  // Of the first class 2 / (2 + 1), of the second all, of the third nothing.
  assertAlmostEquals(found.f1!, (2 / 3 + 1 + 0) / 3, 1e-12);
});
