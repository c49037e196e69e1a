import { assertEquals, assertRejects } from "@std/assert";
import { parquetWriteBuffer } from "hyparquet-writer";
import { AppError } from "./errors.ts";
import { readTrainingSet, writeTrainingSet } from "./training_set_file.ts";
import type { TrainingSetTable } from "./training_set_table.ts";

const table = (rows: number): TrainingSetTable => ({
  entities: Array.from({ length: rows }, (_, row) => `["${row % 700}"]`),
  times: Float64Array.from({ length: rows }, (_, row) => 1_304_294_400_000 + row),
  labels: Float64Array.from({ length: rows }, (_, row) => row % 5 === 0 ? NaN : row % 2),
  features: [
    { name: "orders.spend", values: Float64Array.from({ length: rows }, (_, row) => row / 3) },
    { name: "orders.mean", values: Float64Array.from({ length: rows }, (_, row) => row % 2 ? NaN : -row) },
  ],
});

Deno.test("readTrainingSet() gives back what writeTrainingSet() was given", async () => {
  for (const rows of [0, 1, 5_000]) {
    assertEquals(await readTrainingSet(await writeTrainingSet(table(rows))), table(rows));
  }
});

Deno.test("readTrainingSet() gives labels the type that they were written with", async () => {
  const booleans: TrainingSetTable = { ...table(3), labelType: "boolean" };
  assertEquals(await readTrainingSet(await writeTrainingSet(booleans)), booleans);
  const texts: TrainingSetTable = {
    ...table(3),
    labelCategories: ["no", "yes"],
    labels: Float64Array.of(1, 0, NaN),
  };
  assertEquals(await readTrainingSet(await writeTrainingSet(texts)), texts);
});

Deno.test("writeTrainingSet() gives the same bytes for the same rows", async () => {
  assertEquals(await writeTrainingSet(table(3_000)), await writeTrainingSet(table(3_000)));
});

Deno.test("readTrainingSet() keeps a column of nothing but nulls", async () => {
  const nulls = { ...table(3), labels: new Float64Array(3).fill(NaN) };
  assertEquals((await readTrainingSet(await writeTrainingSet(nulls))).labels, nulls.labels);
});

Deno.test("readTrainingSet() refuses what is no training set", async () => {
  const refuse = (bytes: Uint8Array, message: string) =>
    assertRejects(() => readTrainingSet(bytes), AppError, message);
  await refuse(new TextEncoder().encode("not a Parquet file at all"), "Cannot read the training set");
  const other = parquetWriteBuffer({ columnData: [{ name: "entity", data: ["a"], type: "STRING" }] });
  await refuse(new Uint8Array(other), 'it lacks the column "t", it has entity');
});
