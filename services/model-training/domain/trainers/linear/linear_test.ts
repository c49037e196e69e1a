import { assert, assertAlmostEquals, assertEquals, assertRejects } from "@std/assert";
import { AppError } from "shared/errors.ts";
import { datasetOf, metadataFor, noisyDataset } from "../../../testing/datasets.ts";
import type { Dataset } from "../../dataset.ts";
import { logistic } from "./linear_trainers.ts";

const fit = (train: Dataset, parameters = {}) => logistic.fit(train, { task: "binary", parameters, seed: 1 });

Deno.test("logistic finds the closed form: with one flag, the base rate of either side", async () => {
  // 3 of 4 rows with the flag are positive, and 2 of 6 without it.
  const flag = [1, 1, 1, 1, 0, 0, 0, 0, 0, 0];
  const train = datasetOf([flag], [1, 1, 1, 0, 1, 1, 0, 0, 0, 0]);
  const [withFlag, without] = (await fit(train, { l2: 1e-9 })).predict(datasetOf([[1, 0]], [0, 1]));
  assertAlmostEquals(withFlag!, 3 / 4, 1e-6);
  assertAlmostEquals(without!, 2 / 6, 1e-6);
});

Deno.test("logistic finds the optimum that plain gradient descent finds", async () => {
  const train = noisyDataset("binary", { rows: 200, seed: 5 });
  const { rows, labels } = train;
  const standardised = train.columns.map((column) => {
    const values = column.filter((value) => !Number.isNaN(value));
    const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
    const variance = values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / values.length;
    return Float64Array.from(
      column,
      (value) => Number.isNaN(value) ? 0 : (value - mean) / Math.sqrt(variance),
    );
  });
  const l2 = 3;
  const weights = standardised.map(() => 0);
  let intercept = 0;
  const probability = (row: number) =>
    1 / (1 + Math.exp(-weights.reduce((sum, weight, i) => sum + weight * standardised[i]![row]!, intercept)));
  for (let step = 0; step < 3_000; step++) {
    const residuals = Float64Array.from({ length: rows }, (_, row) => probability(row) - labels[row]!);
    const slope = (column: Float64Array) =>
      column.reduce((sum, value, row) => sum + value * residuals[row]!, 0);
    weights.forEach((weight, i) => weights[i] = weight - 0.01 * (slope(standardised[i]!) + l2 * weight));
    intercept -= 0.01 * residuals.reduce((sum, residual) => sum + residual, 0);
  }
  for (const [row, predicted] of (await fit(train, { l2 })).predict(train).entries()) {
    assertAlmostEquals(predicted, probability(row), 1e-6);
  }
});

Deno.test("logistic takes a missing value for the mean", async () => {
  const train = datasetOf([[1, 2, 3, 4, NaN, 5]], [0, 0, 1, 0, 1, 1]);
  const [missing, mean] = (await fit(train)).predict(datasetOf([[NaN, 3]], [0, 1]));
  assertEquals(missing, mean);
});

Deno.test("logistic learns nothing from constant and from missing columns", async () => {
  const useful = [1, 2, 3, 4, 5, 6];
  const labels = [0, 0, 1, 0, 1, 1];
  const constant = new Array(6).fill(0.1);
  const missing = new Array(6).fill(NaN);
  const alone = (await fit(datasetOf([useful], labels))).predict(datasetOf([useful], labels));
  const beside = await fit(datasetOf([useful, constant, missing], labels));
  const elsewhere = datasetOf([useful, new Array(6).fill(7), new Array(6).fill(7)], labels);
  beside.predict(elsewhere).forEach((value, row) => assertAlmostEquals(value, alone[row]!, 1e-9));
});

Deno.test("logistic converges on rows that a line parts entirely", async () => {
  const train = datasetOf([[1, 2, 3, 4]], [0, 0, 1, 1]);
  const predicted = (await fit(train, { l2: 1e-6 })).predict(train);
  assert(predicted[0]! < 0.01 && predicted[3]! > 0.99);
});

Deno.test("logistic says so when it has not converged", async () => {
  const train = noisyDataset("binary", { rows: 100, seed: 1 });
  await assertRejects(
    () => fit(train, { maxIterations: 1 }),
    AppError,
    "has not converged after 1 iterations",
  );
});

Deno.test("logistic reports a falling loss and gives the same bytes again", async () => {
  const train = noisyDataset("binary", { rows: 300, seed: 2 });
  const losses: number[] = [];
  const model = await logistic.fit(train, {
    task: "binary",
    parameters: {},
    seed: 1,
    onProgress: ({ trainingLoss }) => losses.push(trainingLoss!),
  });
  assertEquals(losses.length, model.facts.iterations);
  assert(losses.length > 2 && losses[0]! > losses.at(-1)!);
  const metadata = metadataFor(train, "binary");
  assertEquals(model.toOnnx(metadata), (await fit(train)).toOnnx(metadata));
});
