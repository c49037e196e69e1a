import { assertEquals } from "@std/assert";
import { gateSchema } from "shared/contracts/model_training.ts";
import { toInstant } from "shared/contracts/time.ts";
import { writeTrainingSet } from "shared/training_set_file.ts";
import type { TrainingSetTable } from "shared/training_set_table.ts";
import { binsOf, signatureOf } from "./describe_model.ts";
import { selectRows } from "./domain/dataset.ts";
import { trainerFor } from "./domain/trainers/registry.ts";
import { type Contender, judgeVersions } from "./judge_versions.ts";
import { readSettledRows } from "./training_data.ts";
import { reorder } from "./testing/stand.ts";

const ROWS = 1_200;
const HOUR_MS = 3_600_000;
/** `xx` is not among the texts of the training part. */
const COUNTRIES = ["at", "de", "fr", "xx"];
const countryOf = (row: number) => row % 7 === 0 ? NaN : row >= 900 && row % 5 === 0 ? 3 : row % 3;

const table: TrainingSetTable = {
  entities: Array.from({ length: ROWS }, (_, row) => `["${row}"]`),
  times: Float64Array.from({ length: ROWS }, (_, row) => row * HOUR_MS),
  labels: Float64Array.from({ length: ROWS }, (_, row) => [1, 2, 4, 9][countryOf(row) || 0]! + row % 2),
  features: [
    {
      name: "v.country",
      type: "text",
      categories: COUNTRIES,
      values: Float64Array.from({ length: ROWS }, (_, row) => countryOf(row)),
    },
    { name: "v.size", values: Float64Array.from({ length: ROWS }, (_, row) => row % 11) },
  ],
};

async function contender(version: number, file: Uint8Array, algorithm: string): Promise<Contender> {
  const dataset = (await readSettledRows(file)).dataset(["v.country", "v.size"]);
  const train = selectRows(dataset, Int32Array.from({ length: 600 }, (_, row) => row));
  const model = await trainerFor(algorithm, "regression").fit(train, {
    task: "regression",
    parameters: {},
    seed: 1,
  });
  const spec = reorder({ task: "regression", metric: "rmse" });
  const manifest = { featureService: { name: "f", version: 1 } } as Parameters<
    typeof signatureOf
  >[0]["trainingSet"]["manifest"];
  const trainingSet = { sha256: "0".repeat(64), manifest };
  const signature = signatureOf({ spec, trainingSet }, train, model.vocabularies);
  const referenceBins = binsOf(train, model.predict(train), signature);
  return {
    version,
    onnx: model.toOnnx({ signature, trainingSet: { ...trainingSet, views: [] }, referenceBins }),
    inputs: ["v.country", "v.size"],
    outputs: 1,
    signature,
    referenceBins,
    trainUntil: toInstant(599 * HOUR_MS),
    horizonMs: HOUR_MS,
  };
}

Deno.test("judgeVersions() cuts a category into slices by its texts, those that training never saw into one", async () => {
  const file = await writeTrainingSet(table);
  const { slices, rows } = await judgeVersions({
    file,
    metric: "rmse",
    gate: gateSchema.parse({ slices: { features: ["v.country"], maxLoss: 0.1, minRows: 1 } }),
    candidate: await contender(2, file, "gbdt"),
    champion: await contender(1, file, "prior"),
  });
  const expected = new Map<string | null, number>();
  for (let row = 600; row < ROWS; row++) {
    const country = countryOf(row);
    const text = Number.isNaN(country) ? null : country === 3 ? "" : COUNTRIES[country]!;
    expected.set(text, (expected.get(text) ?? 0) + 1);
  }
  assertEquals(rows, 600);
  assertEquals(new Map(slices.map((slice) => [slice.text, slice.rows])), expected);
});
