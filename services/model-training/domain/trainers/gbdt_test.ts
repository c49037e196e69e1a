import {
  assert,
  assertAlmostEquals,
  assertEquals,
  assertLess,
  assertNotEquals,
  assertRejects,
} from "@std/assert";
import type { Task } from "shared/contracts/signature.ts";
import { AppError } from "shared/errors.ts";
import { datasetOf, metadataFor, noisyDataset } from "../../testing/datasets.ts";
import type { Dataset } from "../dataset.ts";
import { metricValue, scoreRows } from "../evaluation/metrics.ts";
import { Random } from "../random.ts";
import { gbdt } from "./gbdt.ts";
import { prior } from "./prior.ts";
import { randomForest } from "./random_forest.ts";

const fit = (task: Task, train: Dataset, parameters = {}) => gbdt.fit(train, { task, parameters, seed: 1 });
/** Parameters under which one tree fits the rows as well as it can. */
const ONE_TREE = { rounds: 1, learningRate: 1, minRowsPerLeaf: 1 };

const predictions = async (
  task: Task,
  train: Dataset,
  options: { parameters: object; at: number[][] },
) => {
  const model = await fit(task, train, options.parameters);
  return [...model.predict(datasetOf(options.at, options.at[0]!.map((_, i) => i % 2)))];
};

Deno.test("gbdt with one split gives either side its mean", async () => {
  const train = datasetOf([[1, 1, 1, 2, 2, 2, 3, 3, 3]], [0, 0, 0, 6, 6, 6, 9, 9, 9]);
  const at = [[-5, 1, 1.5, 1.6, 3, 99]];
  assertEquals(
    await predictions("regression", train, { parameters: { ...ONE_TREE, maxLeaves: 2 }, at }),
    [0, 0, 0, 7.5, 7.5, 7.5],
  );
});

Deno.test("gbdt grows the leaf that gains most first", async () => {
  // The first split parts 0 from the rest; of the two sides the right one then gains more.
  const train = datasetOf([[1, 1, 1, 2, 2, 2, 3, 3, 3, 4, 4, 4]], [0, 0, 0, 1, 1, 1, 20, 20, 20, 40, 40, 40]);
  const at = [[1, 2, 3, 4]];
  const three = await predictions("regression", train, { parameters: { ...ONE_TREE, maxLeaves: 3 }, at });
  assertEquals(three, [0.5, 0.5, 20, 40]);
  const four = await predictions("regression", train, { parameters: { ...ONE_TREE, maxLeaves: 4 }, at });
  assertEquals(four, [0, 1, 20, 40]);
});

Deno.test("gbdt takes one Newton step a leaf for a binary label", async () => {
  const train = datasetOf([[1, 1, 1, 1, 2, 2, 2, 2]], [0, 0, 0, 1, 0, 1, 1, 1]);
  // Base rate 1/2: log odds 0, hessian 1/4 a row; each leaf holds four rows whose gradients sum to +1 or -1.
  const step = (l2: number) => 1 / (4 * 0.25 + l2);
  for (const l2 of [0, 3]) {
    const [low, high] = await predictions("binary", train, {
      parameters: { ...ONE_TREE, maxLeaves: 2, l2 },
      at: [[1, 2]],
    });
    assertAlmostEquals(low!, 1 / (1 + Math.exp(step(l2))));
    assertAlmostEquals(high!, 1 / (1 + Math.exp(-step(l2))));
  }
});

Deno.test("gbdt sends missing values to the side that they are like", async () => {
  const values = [1, 1, 1, 2, 2, 2, NaN, NaN, NaN];
  const parameters = { ...ONE_TREE, maxLeaves: 2 };
  const at = [[1, 2, NaN]];
  const likeLow = datasetOf([values], [0, 0, 0, 9, 9, 9, 0, 0, 0]);
  assertEquals(await predictions("regression", likeLow, { parameters, at }), [0, 9, 0]);
  const likeHigh = datasetOf([values], [0, 0, 0, 9, 9, 9, 9, 9, 9]);
  assertEquals(await predictions("regression", likeHigh, { parameters, at }), [0, 9, 9]);
  const likeNone = datasetOf([values], [0, 0, 0, 0, 0, 0, 9, 9, 9]);
  assertEquals(await predictions("regression", likeNone, { parameters, at }), [0, 0, 9]);
});

Deno.test("gbdt sends values that were never missing in training to the side with more rows", async () => {
  const parameters = { ...ONE_TREE, maxLeaves: 2 };
  const mostLow = datasetOf([[1, 1, 1, 1, 2, 2, 2]], [0, 0, 0, 0, 9, 9, 9]);
  assertEquals(await predictions("regression", mostLow, { parameters, at: [[NaN]] }), [0]);
  const mostHigh = datasetOf([[1, 1, 1, 2, 2, 2, 2]], [0, 0, 0, 9, 9, 9, 9]);
  assertEquals(await predictions("regression", mostHigh, { parameters, at: [[NaN]] }), [9]);
});

Deno.test("gbdt keeps to the fewest rows of a leaf and to the depth", async () => {
  const train = datasetOf([[1, 1, 1, 2, 2, 2, 3, 3, 3, 3, 3, 3]], [0, 0, 0, 5, 5, 5, 6, 6, 6, 6, 6, 6]);
  const distinct = async (parameters: object) =>
    new Set(
      await predictions("regression", train, { parameters: { ...ONE_TREE, ...parameters }, at: [[1, 2, 3]] }),
    ).size;
  assertEquals(await distinct({ minRowsPerLeaf: 3 }), 3);
  assertEquals(await distinct({ minRowsPerLeaf: 4 }), 2);
  assertEquals(await distinct({ minRowsPerLeaf: 7 }), 1);
  assertEquals(await distinct({ maxDepth: 1 }), 2);
  assertEquals(await distinct({ maxLeaves: 2 }), 2);
  assertEquals(await distinct({ minGain: 1e6 }), 1);
});

Deno.test("gbdt learns an exclusive or, which no single feature tells", async () => {
  const bits = Array.from({ length: 400 }, (_, row) => [row & 1, (row >> 1) & 1, (row >> 2) % 3] as const);
  // Uneven counts: on even ones no first split gains anything, and a greedy tree stays a stump.
  const columns = [0, 1, 2].map((index) => bits.map((bit) => bit[index]!)).map((
    column,
  ) => [...column, 1, 1, 1]);
  const labels = [...bits.map(([a, b]) => a ^ b), 0, 0, 0];
  const train = datasetOf(columns, labels);
  const predicted = (await fit("binary", train, { rounds: 100 })).predict(train);
  for (const [row, value] of predicted.entries()) assertAlmostEquals(value, labels[row]!, 0.1);
});

Deno.test("gbdt falls back to the mean where no feature varies", async () => {
  const train = datasetOf([[4, 4, 4], [NaN, NaN, NaN]], [1, 2, 6]);
  const model = await fit("regression", train);
  assertEquals([...model.predict(train)], [3, 3, 3]);
  assertEquals(model.facts.rounds, 0);
});

Deno.test("gbdt stops when the validation rows gain nothing more, and keeps the best round", async () => {
  const train = noisyDataset("binary", { rows: 600, seed: 1 });
  const validation = noisyDataset("binary", { rows: 600, seed: 2 });
  const losses: number[] = [];
  const parameters = { rounds: 100, earlyStoppingRounds: 10, learningRate: 0.3 };
  const model = await gbdt.fit(train, {
    task: "binary",
    parameters,
    seed: 1,
    validation,
    onProgress: ({ validationLoss }) => losses.push(validationLoss!),
  });
  const best = losses.indexOf(Math.min(...losses)) + 1;
  assertEquals(model.facts.rounds, best);
  assertEquals(losses.length, best + 10);
  const rows = scoreRows(validation.labels, model.predict(validation));
  assertAlmostEquals(metricValue("log_loss", rows), losses[best - 1]!, 1e-9);
  assertEquals((await fit("binary", train, parameters)).facts.rounds, 100);
});

Deno.test("gbdt reports a training loss that falls", async () => {
  const losses: number[] = [];
  await gbdt.fit(noisyDataset("regression", { rows: 300, seed: 1 }), {
    task: "regression",
    parameters: { rounds: 20 },
    seed: 1,
    onProgress: ({ trainingLoss }) => losses.push(trainingLoss!),
  });
  assertEquals(losses.length, 20);
  assert(losses.every((loss, round) => round === 0 || loss < losses[round - 1]!));
});

Deno.test("gbdt gives the same bytes for the same rows and seed, and others for another seed where it draws", async () => {
  const train = noisyDataset("binary", { rows: 1_000, seed: 3 });
  const metadata = metadataFor(train, "binary");
  const bytes = async (seed: number, parameters = {}) =>
    (await gbdt.fit(train, { task: "binary", parameters: { rounds: 30, ...parameters }, seed })).toOnnx(
      metadata,
    );
  assertEquals(await bytes(1), await bytes(1));
  const sampled = { rowFraction: 0.6, featureFraction: 0.5 };
  assertEquals(await bytes(1, sampled), await bytes(1, sampled));
  assertNotEquals(await bytes(1, sampled), await bytes(2, sampled));
});

for (const task of ["binary", "regression"] as const) {
  Deno.test(`gbdt and random_forest give the same bytes on 1, 2 and 4 threads (${task})`, async () => {
    const train = noisyDataset(task, { rows: 80_000, seed: 3 });
    const validation = noisyDataset(task, { rows: 5_000, seed: 4 });
    const metadata = metadataFor(train, task);
    for (
      const [trainer, parameters, quantile] of [
        [gbdt, { rounds: 6, rowFraction: 0.7 }],
        [gbdt, { rounds: 4, earlyStoppingRounds: 2 }],
        [gbdt, { rounds: 3, minGain: 0.5 }, task === "regression" ? 0.8 : undefined],
        [randomForest, { trees: 2, maxLeaves: 100 }],
      ] as const
    ) {
      const losses: (number | undefined)[] = [];
      const files = [];
      for (const threads of [1, 2, 4]) {
        const model = await trainer.fit(train, {
          task,
          parameters,
          seed: 1,
          quantile,
          threads,
          validation,
          onProgress: ({ round, trainingLoss }) => round === 2 && losses.push(trainingLoss),
        });
        files.push(model.toOnnx(metadata));
      }
      assertEquals(files[1], files[0]);
      assertEquals(files[2], files[0]);
      assertEquals(new Set(losses).size, 1);
    }
  });
}

Deno.test("gbdt with samples of rows and features still learns", async () => {
  const train = noisyDataset("regression", { rows: 2_000, seed: 1 });
  const test = noisyDataset("regression", { rows: 2_000, seed: 2 });
  const error = async (parameters: object) => {
    const model = await fit("regression", train, parameters);
    return metricValue("rmse", scoreRows(test.labels, model.predict(test)));
  };
  const plain = await error({ rounds: 100 });
  assertLess(plain, 0.5);
  assertLess(await error({ rounds: 100, rowFraction: 0.5, featureFraction: 0.6 }), 1.5 * plain);
});

Deno.test("gbdt answers a quantile of the label where it is asked for one", async () => {
  // The label's spread grows with the feature: 0.9 of it lies below 9 tenths of the spread.
  const draw = (seed: number, rows: number) => {
    const random = new Random(seed);
    const x = Array.from({ length: rows }, () => random.uniform());
    return datasetOf([x], x.map((value) => 10 + value * random.uniform()));
  };
  const [train, test] = [draw(1, 8_000), draw(2, 8_000)];
  const options = { task: "regression", parameters: { rounds: 60 }, seed: 1 } as const;
  const upper = await gbdt.fit(train, { ...options, quantile: 0.9 });
  const answers = upper.predict(test);
  const below = test.labels.filter((label, row) => label <= answers[row]!).length / test.rows;
  assertAlmostEquals(below, 0.9, 0.015);
  const [narrow, wide] = upper.predict(datasetOf([[0.1, 0.9]], [0, 0]));
  assertAlmostEquals(narrow!, 10.09, 0.03);
  assertAlmostEquals(wide!, 10.81, 0.06);
  const pinball = (outputs: Float64Array) => metricValue("pinball", scoreRows(test.labels, outputs, 0.9));
  const plain = (await gbdt.fit(train, options)).predict(test);
  const trivial = (await prior.fit(train, { task: "regression", parameters: {}, seed: 1, quantile: 0.9 }))
    .predict(test);
  assertLess(pinball(answers), 0.7 * pinball(plain));
  assertLess(pinball(answers), 0.7 * pinball(trivial));
  await assertRejects(
    () => gbdt.fit(train, { ...options, quantile: 0.9, parameters: { monotone: { "view.f0": 1 } } }),
    AppError,
    "trees that answer a quantile have no direction",
  );
});
