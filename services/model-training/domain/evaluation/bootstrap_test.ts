import { assert, assertEquals, assertNotEquals, assertThrows } from "@std/assert";
import { AppError } from "shared/errors.ts";
import { Random } from "../random.ts";
import { bootstrapInterval } from "./bootstrap.ts";
import { metricValue, scoreRows } from "./metrics.ts";

const random = new Random(3);
const labels = Float64Array.from({ length: 400 }, () => random.uniform());
const outputs = labels.map((label) => label + random.uniform() - 0.5);
const rows = scoreRows(labels, outputs);
const width = ([low, high]: [number, number]) => high - low;

Deno.test("bootstrapInterval() holds the metric and is the same for the same seed", () => {
  const interval = bootstrapInterval("mae", rows, { seed: 1 });
  const value = metricValue("mae", rows);
  assert(interval[0] < value && value < interval[1]);
  assertEquals(interval, bootstrapInterval("mae", rows, { seed: 1 }));
  assertNotEquals(interval, bootstrapInterval("mae", rows, { seed: 2 }));
});

Deno.test("bootstrapInterval() is about as wide as the standard error of a mean says", () => {
  // Absolute errors are uniform in [0, 0.5]: their deviation is 0.5 / sqrt(12).
  const expected = 2 * 1.96 * (0.5 / Math.sqrt(12)) / Math.sqrt(400);
  const found = width(bootstrapInterval("mae", rows, { seed: 1, resamples: 2_000 }));
  assert(Math.abs(found / expected - 1) < 0.15, `${found} against ${expected}`);
});

Deno.test("bootstrapInterval() is wider where rows of a group repeat each other", () => {
  const copies = Int32Array.from({ length: 4_000 }, (_, row) => row % 400);
  const many = scoreRows(
    Float64Array.from(copies, (row) => labels[row]!),
    Float64Array.from(copies, (row) => outputs[row]!),
  );
  const groups = Array.from(copies, String);
  const byRow = width(bootstrapInterval("mae", many, { seed: 1 }));
  const byGroup = width(bootstrapInterval("mae", many, { seed: 1, groups }));
  assert(byGroup > 2.5 * byRow, `${byGroup} against ${byRow}`);
});

Deno.test("bootstrapInterval() gives up where the metric is hardly ever defined", () => {
  const constant = scoreRows(new Float64Array(50).fill(1), new Float64Array(50).fill(0.5));
  assertThrows(
    () => bootstrapInterval("auc", constant, { seed: 1 }),
    AppError,
    "not defined on most resamples",
  );
  const onePositive = scoreRows(
    new Float64Array(50).with(0, 1),
    Float64Array.from({ length: 50 }, (_, i) => -i),
  );
  assertEquals(bootstrapInterval("auc", onePositive, { seed: 1 }), [1, 1]);
});
