import { assert } from "@std/assert";
import type { Task } from "shared/contracts/signature.ts";
import { datasetOf, mixedDataset, textColumn } from "../../../testing/datasets.ts";
import type { Dataset } from "../../dataset.ts";
import { Random } from "../../random.ts";
import { createDesign } from "./design.ts";
import { fitLinear } from "./fit_linear.ts";
import { lossAndGradient } from "./loss.ts";

/** More than are sampled. */
const ROWS = 20_000;

interface Penalties {
  l1?: number;
  l2?: number;
}

/** Fits, and asserts that no step over all rows would lower the loss; returns the iterations. */
function fitAndProve(train: Dataset, task: Task, { l1 = 0, l2 = 1 }: Penalties = {}): number {
  const fit = fitLinear(
    train,
    { task, parameters: {}, seed: 1 },
    { l1, l2, maxIterations: 500, classWeights: "none" },
  );
  const design = createDesign(train, fit);
  const gradient = new Float64Array(fit.parameters.length);
  const classWeights = new Float64Array(Math.max(2, fit.outputs)).fill(1);
  const problem = { design, labels: train.labels, classWeights, task, outputs: fit.outputs };
  lossAndGradient(problem, fit.parameters, gradient);
  gradient.forEach((slope, i) => {
    const isIntercept = (i + 1) % design.parameters === 0;
    const parameter = fit.parameters[i]!;
    const own = isIntercept ? slope : slope + l2 * parameter;
    const penalty = isIntercept ? 0 : l1;
    const rise = parameter === 0
      ? Math.max(Math.abs(own) - penalty, 0)
      : own + penalty * Math.sign(parameter);
    assert(Math.abs(rise) < 1e-6 * train.rows, `parameter ${i}: the loss rises by ${rise}`);
  });
  return fit.iterations;
}

for (const task of ["binary", "multiclass", "regression"] as const) {
  Deno.test(`fitLinear() finds the optimum of all rows in few passes over them, ${task}`, () => {
    const iterations = fitAndProve(mixedDataset(task, { rows: ROWS, seed: 7 }), task);
    assert(iterations <= 20, `${iterations}`);
  });
}

Deno.test("fitLinear() finds the optimum where one row in a thousand is of a class", () => {
  const { columns, dictionaries, ...mixed } = mixedDataset("regression", { rows: ROWS, seed: 8 });
  const threshold = mixed.labels.toSorted()[ROWS - 20]!;
  const labels = mixed.labels.map((value) => value >= threshold ? 1 : 0);
  const iterations = fitAndProve({ ...mixed, columns, dictionaries, labels }, "binary");
  assert(iterations <= 25, `${iterations}`);
});

Deno.test("fitLinear() finds the optimum where a sample is parted by a plane, and all rows are not", () => {
  const random = new Random(9);
  const columns = Array.from(
    { length: 20 },
    () => Float64Array.from({ length: ROWS }, () => random.uniform() - 0.5),
  );
  const score = (row: number) => columns.reduce((sum, column, i) => sum + column[row]! * Math.sin(i), 0);
  const labels = Array.from({ length: ROWS }, (_, row) => Number((score(row) > 0) !== (row % 4_000 === 7)));
  const iterations = fitAndProve(datasetOf(columns, labels), "binary", { l2: 1e-6 });
  assert(iterations <= 60, `${iterations}`);
});

Deno.test("fitLinear() finds the optimum of columns and texts of which a sample has no row", () => {
  const random = new Random(10);
  const columns = Array.from({ length: 30 }, () => new Float32Array(ROWS));
  const labels = Array.from({ length: ROWS }, (_, row) => {
    const own = columns[random.below(3_000)];
    if (own !== undefined) own[row] = 1;
    return Number(random.uniform() < 0.5);
  });
  const hours = textColumn(Array.from({ length: ROWS }, (_, row) => `${row % 24}`));
  const iterations = fitAndProve(datasetOf([...columns, hours], labels), "binary", { l2: 1e-3 });
  assert(iterations <= 60, `${iterations}`);
});

Deno.test("fitLinear() finds the optimum with l1, of numbers and of texts", () => {
  const random = new Random(11);
  const texts = Array.from({ length: ROWS }, () => Math.floor(150 * random.uniform() ** 3));
  const number = Array.from({ length: ROWS }, () => random.uniform());
  const score = (row: number) => Math.sin(3 * texts[row]!) + number[row]! + 2 * random.uniform() - 1.5;
  const labels = Array.from({ length: ROWS }, (_, row) => Number(score(row) > 0));
  const train = datasetOf([number, textColumn(texts.map(String))], labels);
  const iterations = fitAndProve(train, "binary", { l1: 3 });
  assert(iterations <= 60, `${iterations}`);
});
