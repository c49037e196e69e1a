import { assert, assertAlmostEquals, assertEquals, assertRejects } from "@std/assert";
import { AppError } from "shared/errors.ts";
import { datasetOf, metadataFor, noisyDataset, textColumn } from "../../../testing/datasets.ts";
import { type Dataset, selectRows } from "../../dataset.ts";
import { createDesign } from "./design.ts";
import { fitLinear } from "./fit_linear.ts";
import { linear, logistic } from "./linear_trainers.ts";
import { lossAndGradient } from "./loss.ts";

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

Deno.test("logistic sets the weights of useless features to 0 by l1, and meets the conditions of the optimum", () => {
  const train = noisyDataset("binary", { rows: 1_000, seed: 4 });
  for (const l1 of [5, 30, 1e6]) {
    const parameters = { l1, l2: 0.5, maxIterations: 500, classWeights: "none" } as const;
    const fit = fitLinear(train, { task: "binary", parameters: {}, seed: 1 }, parameters);
    const design = createDesign(train, fit);
    const gradient = new Float64Array(design.parameters);
    lossAndGradient(
      { design, labels: train.labels, classWeights: Float64Array.of(1, 1), task: "binary", outputs: 1 },
      fit.parameters,
      gradient,
    );
    fit.parameters.forEach((weight, i) => {
      const slope = gradient[i]! + (i < 4 ? 0.5 * weight : 0);
      if (i === 4) assertAlmostEquals(slope, 0, 1e-3);
      else if (weight === 0) assert(Math.abs(slope) <= l1 + 1e-3, `${slope}`);
      else assertAlmostEquals(slope, -l1 * Math.sign(weight), 1e-3);
    });
    if (l1 === 1e6) assertEquals([...fit.parameters.slice(0, 4)], [0, 0, 0, 0]);
    if (l1 === 30) assertEquals(fit.parameters[3], 0);
  }
});

Deno.test("linear finds the closed form of one feature with its penalty, and the mean of each category", async () => {
  const x = [1, 2, 3, 4, 5, 6];
  const labels = [1, 3, 2, 5, 4, 6];
  const [mean, deviation] = [3.5, Math.sqrt(35 / 12)];
  const z = x.map((value) => (value - mean) / deviation);
  const l2 = 2;
  const slope = z.reduce((sum, value, row) => sum + value * labels[row]!, 0) / (6 + l2);
  const model = await linear.fit(datasetOf([x], labels), { task: "regression", parameters: { l2 }, seed: 1 });
  const [answer] = model.predict(datasetOf([[10]], [0]));
  assertAlmostEquals(answer!, 3.5 + slope * (10 - mean) / deviation, 1e-7);

  const texts = ["a", "a", "b", "b", "c", "c"];
  const byText = await linear.fit(datasetOf([textColumn(texts)], labels), {
    task: "regression",
    parameters: { l2: 1e-6 },
    seed: 1,
  });
  const answers = byText.predict(datasetOf([textColumn(["a", "b", "c", "other", null])], [0, 0, 0, 0, 0]));
  [2, 3.5, 5].forEach((expected, i) => assertAlmostEquals(answers[i]!, expected, 1e-4));
  assertAlmostEquals(answers[3]!, answers[4]!, 1e-9);
});

Deno.test("logistic of several classes gives flags the shares that were counted", async () => {
  const flags = [...new Array(60).fill(0), ...new Array(40).fill(1)];
  const labels = flags.map((flag, row) =>
    flag === 0 ? (row % 6 < 3 ? 0 : row % 6 < 5 ? 1 : 2) : row % 4 === 0 ? 1 : 2
  );
  const train = datasetOf([flags], labels);
  const model = await logistic.fit(train, { task: "multiclass", parameters: { l2: 1e-7 }, seed: 1 });
  const answers = model.predict(datasetOf([[0, 1]], [0, 1]));
  [3 / 6, 2 / 6, 1 / 6, 0, 1 / 4, 3 / 4].forEach((share, i) => assertAlmostEquals(answers[i]!, share, 1e-3));
});

Deno.test("logistic weighs classes as repeated rows would", async () => {
  const noisy = noisyDataset("binary", { rows: 300, seed: 6 });
  // Without missing values, for which the mean of other rows would be taken.
  const train = datasetOf([noisy.columns[0]!, noisy.columns[1]!, noisy.columns[3]!], noisy.labels);
  const positives = Int32Array.from(train.labels.keys()).filter((row) => train.labels[row] === 1);
  const rows = Int32Array.from([...train.labels.keys(), ...positives]);
  // Standardised by other means, the penalty would be another: without it, only the loss remains.
  const weighted = await fit(train, { classWeights: { 1: 2 }, l2: 1e-6 });
  const repeated = await fit(selectRows(train, rows), { l2: 1e-6 });
  const expected = repeated.predict(train);
  weighted.predict(train).forEach((value, row) => assertAlmostEquals(value, expected[row]!, 1e-4));
});
