import { assert, assertAlmostEquals, assertEquals, assertLess, assertRejects } from "@std/assert";
import type { Task } from "shared/contracts/signature.ts";
import { AppError } from "shared/errors.ts";
import { datasetOf, mixedDataset, noisyDataset, textColumn } from "../../../testing/datasets.ts";
import type { Dataset } from "../../dataset.ts";
import { metricValue, scoreRows } from "../../evaluation/metrics.ts";
import { Random } from "../../random.ts";
import { gbdt } from "../gbdt.ts";
import { randomForest } from "../random_forest.ts";

const ONE_TREE = { rounds: 1, learningRate: 1, minRowsPerLeaf: 1 };
const fit = (task: Task, train: Dataset, parameters = {}) => gbdt.fit(train, { task, parameters, seed: 1 });
const repeat = <Value>(list: readonly Value[], times: number) =>
  Array.from({ length: times }, () => list).flat();

Deno.test("gbdt parts categories by sets that no order of their codes would give", async () => {
  // Kinds alternate in text order: thresholds on codes would need a split for each.
  const kinds = ["a", "b", "c", "d", "e", "f", "g", "h"];
  const texts = repeat(kinds, 100);
  const labels = texts.map((text) => "aceg".includes(text) ? 10 : -10);
  const train = datasetOf([textColumn(texts)], labels);
  const model = await fit("regression", train, { ...ONE_TREE, maxLeaves: 2, categoryL2: 0 });
  const asked = datasetOf([textColumn([...kinds, "unseen", null])], new Array(10).fill(0));
  const answers = [...model.predict(asked)];
  assertEquals(answers.slice(0, 8), [10, -10, 10, -10, 10, -10, 10, -10]);
  // What is in no set goes with the others.
  assertEquals(new Set(answers.slice(8)).size, 1);
});

Deno.test("gbdt finds the best set of few categories that trying all of them finds", async () => {
  const random = new Random(5);
  for (let trial = 0; trial < 20; trial++) {
    const texts = Array.from({ length: 200 }, () => "abc"[random.below(3)]!);
    const effect = { a: random.uniform(), b: random.uniform(), c: random.uniform() };
    const labels = texts.map((text) => effect[text as "a"] + random.uniform() / 10);
    const train = datasetOf([textColumn(texts)], labels);
    const model = await fit("regression", train, { ...ONE_TREE, maxLeaves: 2, categorySmoothing: 0 });
    const squares = (groups: string[]) =>
      groups.reduce((sum, group) => {
        const own = labels.filter((_, row) => group.includes(texts[row]!));
        const mean = own.reduce((total, label) => total + label, 0) / own.length;
        return sum + own.reduce((total, label) => total + (label - mean) ** 2, 0);
      }, 0);
    const best = Math.min(...[["a", "bc"], ["b", "ac"], ["c", "ab"]].map(squares));
    const found = metricValue("rmse", scoreRows(train.labels, model.predict(train))) ** 2 * 200;
    assertAlmostEquals(found, best, 1e-4);
  }
});

Deno.test("gbdt learns several classes, better than their shares by far", async () => {
  const train = mixedDataset("multiclass", { rows: 3_000, seed: 1 });
  const test = mixedDataset("multiclass", { rows: 3_000, seed: 2 });
  const model = await fit("multiclass", train, { rounds: 60 });
  const answers = model.predict(test);
  for (let row = 0; row < 100; row++) {
    assertAlmostEquals(answers[3 * row]! + answers[3 * row + 1]! + answers[3 * row + 2]!, 1, 1e-12);
  }
  assertLess(metricValue("log_loss", scoreRows(test.labels, answers)), 0.45);
});

Deno.test("gbdt keeps to the directions it is told, whatever the rows say", async () => {
  const random = new Random(2);
  const x = Array.from({ length: 3_000 }, () => random.uniform());
  const z = x.map(() => random.uniform());
  // Falls in the middle, and depends on the other feature as well.
  const labels = x.map((value, row) => Math.sin(6 * value) + z[row]! + random.uniform() / 2);
  const train = datasetOf([x, z], labels);
  const at = Array.from({ length: 101 }, (_, step) => step / 100);
  const falls = async (monotone: object) => {
    const model = await fit("regression", train, { rounds: 40, monotone });
    let most = 0;
    for (const other of [0.1, 0.5, 0.9]) {
      const answers = model.predict(datasetOf([at, at.map(() => other)], at));
      answers.forEach((value, i) => most = Math.max(most, i === 0 ? 0 : answers[i - 1]! - value));
    }
    return most;
  };
  assertLess(0.1, await falls({}));
  assertEquals(await falls({ "view.f0": 1 }), 0);
  const message = async (monotone: object, task: Task = "regression") =>
    (await assertRejects(() => fit(task, mixedDataset(task, { rows: 200, seed: 1 }), { monotone }), AppError))
      .message;
  assert((await message({ "view.f9": 1 })).includes('there is no feature "view.f9"'));
  assert((await message({ "view.f1": 1 })).includes("is a category"));
  assert((await message({ "view.f0": 1 }, "multiclass")).includes("has no direction"));
});

Deno.test("gbdt shrinks leaves by l1 and l2 as the closed form does", async () => {
  const train = datasetOf([[1, 1, 1, 1, 2, 2, 2, 2]], [0, 0, 0, 0, 8, 8, 8, 8]);
  const answers = async (parameters: object) => {
    const model = await fit("regression", train, { ...ONE_TREE, maxLeaves: 2, ...parameters });
    return [...model.predict(datasetOf([[1, 2]], [0, 1]))];
  };
  // The mean is 4; each leaf has four rows and a gradient of 16.
  assertEquals(await answers({}), [0, 8]);
  assertEquals(await answers({ l1: 4 }), [1, 7]);
  assertEquals(await answers({ l2: 4 }), [2, 6]);
  assertEquals(await answers({ l1: 16 }), [4, 4]);
});

Deno.test("gbdt and random_forest weigh classes as repeated rows would", async () => {
  const texts = repeat(["a", "b"], 60);
  const x = texts.map((_, row) => row % 7);
  const labels = texts.map((_, row) => row % 5 === 0 ? 1 : 0);
  const train = datasetOf([x], labels);
  const repeated = datasetOf(
    [[...x, ...x.filter((_, row) => labels[row] === 1), ...x.filter((_, row) => labels[row] === 1)]],
    [...labels, ...repeat(labels.filter((label) => label === 1), 2)],
  );
  const parameters = { rounds: 5, minRowsPerLeaf: 1, maxBins: 7, maxLeaves: 4 };
  const weighted = await fit("binary", train, { ...parameters, classWeights: { 1: 3 } });
  const plain = await fit("binary", repeated, parameters);
  const asked = datasetOf([[0, 1, 2, 3, 4, 5, 6]], [0, 1, 0, 1, 0, 1, 0]);
  const expected = plain.predict(asked);
  weighted.predict(asked).forEach((value, row) => assertAlmostEquals(value, expected[row]!, 1e-4));
  const balanced = await randomForest.fit(train, {
    task: "binary",
    parameters: { trees: 50, classWeights: "balanced", maxLeaves: 2, minRowsPerLeaf: 40 },
    seed: 1,
  });
  const mean = balanced.predict(train).reduce((sum, value) => sum + value, 0) / train.rows;
  assertAlmostEquals(mean, 0.5, 0.08);
  await assertRejects(() => fit("binary", train, { classWeights: { no: 2 } }), AppError, 'the class "no"');
});

Deno.test("random_forest averages trees: better than one of them, within the labels' range", async () => {
  const train = noisyDataset("regression", { rows: 1_500, seed: 1 });
  const test = noisyDataset("regression", { rows: 1_500, seed: 2 });
  const error = async (trees: number) => {
    const model = await randomForest.fit(train, { task: "regression", parameters: { trees }, seed: 1 });
    const answers = model.predict(test);
    const [least, most] = [Math.min(...train.labels), Math.max(...train.labels)];
    assert(answers.every((value) => value >= least - 1e-6 && value <= most + 1e-6));
    return metricValue("rmse", scoreRows(test.labels, answers));
  };
  const [one, many] = [await error(1), await error(60)];
  assertLess(many, 0.8 * one);
});

Deno.test("trees learn from constant, missing and nearly empty columns what there is to learn", async () => {
  const rows = 400;
  const useful = Array.from({ length: rows }, (_, row) => row % 10);
  const labels = useful.map((value) => value > 4 ? 1 : 0);
  const train = datasetOf([
    new Array(rows).fill(3),
    new Array(rows).fill(NaN),
    textColumn(new Array(rows).fill(null)),
    textColumn(useful.map((_, row) => `only ${row}`).map((text, row) => row < 300 ? text : null)),
    useful,
  ], labels);
  for (const trainer of [gbdt, randomForest]) {
    const model = await trainer.fit(train, { task: "binary", parameters: {}, seed: 1 });
    assertLess(0.99, metricValue("auc", scoreRows(train.labels, model.predict(train))));
  }
});
