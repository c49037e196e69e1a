import { assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { AppError } from "shared/errors.ts";
import { createDataset, modelBatch, selectRows } from "./dataset.ts";

const input = {
  featureNames: ["v.a", "v.b"],
  columns: [[1, 2, 3], [0.1, NaN, 1e-50]],
  labels: [0, 1, 1],
  times: [10, 20, 30],
  entities: ["x", "y", "z"],
};

const refusal = (part: Partial<typeof input>) =>
  assertThrows(() => createDataset({ ...input, ...part }), AppError);

Deno.test("createDataset() rounds features to float32 and keeps missing values", () => {
  const { columns, rows } = createDataset(input);
  assertEquals(rows, 3);
  assertEquals([...columns[1]!], [Math.fround(0.1), NaN, 0]);
});

Deno.test("createDataset() refuses infinite features, also those that are infinite as float32", () => {
  assertEquals(
    refusal({ columns: [[1, Infinity, 3], [1, 2, 3]] }).message,
    "Cannot build the data set: v.a is Infinity in row 1: a feature must be a finite float32 or missing",
  );
  assertStringIncludes(refusal({ columns: [[1, 2, 3], [0, 0, -1e39]] }).message, "v.b is -1e+39 in row 2");
});

Deno.test("createDataset() lists every bad column", () => {
  const { reasons } = refusal({ columns: [[Infinity, 2, 3], [1, Infinity, 3]], labels: [0, NaN, 1] });
  assertEquals(reasons.map((reason) => reason.path), ["v.a", "v.b", "label"]);
});

Deno.test("createDataset() refuses an empty set, no features, repeated names and unequal lengths", () => {
  assertStringIncludes(refusal({ labels: [], columns: [[], []], times: [], entities: [] }).message, "no row");
  assertStringIncludes(refusal({ featureNames: [], columns: [] }).message, "no feature");
  assertStringIncludes(refusal({ featureNames: ["v.a", "v.a"] }).message, '"v.a" occurs twice');
  assertStringIncludes(refusal({ columns: [[1, 2, 3]] }).message, "2 features have 1 columns");
  assertEquals(refusal({ times: [1] }).reasons, [{
    path: "times",
    message: "has 1 rows, the labels have 3",
  }]);
});

Deno.test("selectRows() picks rows of every column in the given order", () => {
  const picked = selectRows(createDataset(input), Int32Array.of(2, 0));
  assertEquals([...picked.columns[0]!], [3, 1]);
  assertEquals([...picked.labels], [1, 0]);
  assertEquals([...picked.times], [30, 10]);
  assertEquals(picked.entities, ["z", "x"]);
});

Deno.test("modelBatch() lays the rows out one after the other", () => {
  assertEquals([...modelBatch(createDataset(input), 0, 2).numbers], [1, Math.fround(0.1), 2, NaN]);
});
