import { assertEquals, assertRejects } from "@std/assert";
import { AppError } from "shared/errors.ts";
import { writeTrainingSet } from "shared/training_set_file.ts";
import type { TrainingSetTable } from "shared/training_set_table.ts";
import { readSettledRows } from "./training_data.ts";

const table = (labels: readonly number[], more: Partial<TrainingSetTable> = {}): TrainingSetTable => ({
  entities: labels.map((_, row) => `["${row}"]`),
  times: Float64Array.from(labels, (_, row) => row),
  labels: Float64Array.from(labels),
  features: [{ name: "v.a", values: Float64Array.from(labels, (_, row) => row) }],
  ...more,
});
const read = async (written: TrainingSetTable) => await readSettledRows(await writeTrainingSet(written));

Deno.test("readSettledRows() leaves out the rows without a label, and names those that are booleans", async () => {
  const settled = await read(table([1, NaN, 0], { labelType: "boolean" }));
  const { rows, labels, classes, columns } = settled.dataset(["v.a"]);
  assertEquals([rows, [...labels], classes, [...columns[0]!]], [2, [1, 0], ["false", "true"], [0, 2]]);
});

Deno.test("readSettledRows() says why no row has a label", async () => {
  const refuse = (written: TrainingSetTable, message: string) =>
    assertRejects(() => read(written), AppError, `Cannot learn from the training set: ${message}`);
  await refuse(table([]), "it is empty");
  await refuse(table([NaN, NaN]), "the labels of all its 2 rows lie after the project's clock");
  await refuse(
    table([NaN, NaN], { mature: Uint8Array.of(1, 0) }),
    "none of its 2 rows has a label, though the time of 1 of them is over",
  );
});
