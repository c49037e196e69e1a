import { assertAlmostEquals } from "@std/assert";
import { datasetOf, mixedDataset } from "../../../testing/datasets.ts";
import { learnVocabularies } from "../../encoding.ts";
import { Random } from "../../random.ts";
import { createDesign, fitStandardiser } from "./design.ts";
import { lossAndGradient, scoresOf } from "./loss.ts";

// Several blocks of rows and a part of one; an odd number of numbers, with missing values; a category.
const ROWS = 700;

function problemOf(task: "binary" | "multiclass" | "regression") {
  const mixed = mixedDataset(task, { rows: ROWS, seed: 3 });
  const train = { ...mixed, columns: mixed.columns.slice(1), dictionaries: mixed.dictionaries.slice(1) };
  const vocabularies = learnVocabularies(train);
  const standardiser = fitStandardiser(train.columns, vocabularies);
  const design = createDesign(train, { vocabularies, standardiser });
  const outputs = task === "multiclass" ? 3 : 1;
  const random = new Random(5);
  const parameters = Float64Array.from(
    { length: outputs * design.parameters },
    () => 4 * random.uniform() - 2,
  );
  const classWeights = Float64Array.from(task === "regression" ? [2] : [0.5, 3, 1].slice(0, outputs + 1));
  return { design, labels: train.labels, classWeights, task, outputs, parameters };
}

for (const task of ["binary", "multiclass", "regression"] as const) {
  Deno.test(`lossAndGradient() gives the weighted loss of the scores and its slope, ${task}`, () => {
    const { parameters, ...problem } = problemOf(task);
    const { design, labels, classWeights, outputs } = problem;
    const scores = scoresOf(design, parameters, outputs);
    let expected = 0;
    for (let row = 0; row < ROWS; row++) {
      const own = scores.map((output) => output[row]!);
      const label = labels[row]!;
      expected += task === "regression"
        ? classWeights[0]! * (own[0]! - label) ** 2 / 2
        : task === "binary"
        ? classWeights[label]! * Math.log1p(Math.exp(label === 1 ? -own[0]! : own[0]!))
        : classWeights[label]! * -Math.log(
          Math.exp(own[label]!) / own.reduce((sum, score) => sum + Math.exp(score), 0),
        );
    }
    const gradient = new Float64Array(parameters.length);
    assertAlmostEquals(lossAndGradient(problem, parameters, gradient), expected, 1e-9 * expected);
    const unused = new Float64Array(parameters.length);
    for (let i = 0; i < parameters.length; i++) {
      const lossAt = (shift: number) =>
        lossAndGradient(problem, parameters.with(i, parameters[i]! + shift), unused);
      assertAlmostEquals(gradient[i]!, (lossAt(1e-4) - lossAt(-1e-4)) / 2e-4, 1e-3);
    }
  });
}

Deno.test("lossAndGradient() neither overflows nor forgets a row that is far on the wrong side", () => {
  const train = datasetOf([[-1, 1, -1, 1]], [1, 0, 0, 1]);
  const vocabularies = learnVocabularies(train);
  const design = createDesign(train, {
    vocabularies,
    standardiser: fitStandardiser(train.columns, vocabularies),
  });
  const problem = {
    design,
    labels: train.labels,
    classWeights: Float64Array.of(1, 1),
    task: "binary",
    outputs: 1,
  } as const;
  assertAlmostEquals(lossAndGradient(problem, Float64Array.of(5_000, 0), new Float64Array(2)), 10_000, 1e-9);
});

Deno.test("scoresOf() adds up the weights of standardised numbers, 0 where they are missing, and of the flag", () => {
  const { design, parameters } = problemOf("regression");
  const mixed = mixedDataset("regression", { rows: ROWS, seed: 3 });
  const numbers = mixed.columns.slice(2);
  const statistics = numbers.map((column) => {
    const values = [...column].filter((value) => !Number.isNaN(value));
    const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
    const squares = values.reduce((sum, value) => sum + (value - mean) ** 2, 0);
    return { mean, deviation: Math.sqrt(squares / values.length) };
  });
  const [scores] = scoresOf(design, parameters, 1);
  for (let row = 0; row < ROWS; row++) {
    let expected = parameters.at(-1)! + parameters[3 + design.categories[0]![row]!]!;
    numbers.forEach((column, i) => {
      const { mean, deviation } = statistics[i]!;
      expected += Number.isNaN(column[row]!) ? 0 : parameters[i]! * (column[row]! - mean) / deviation;
    });
    assertAlmostEquals(scores![row]!, expected, 1e-5);
  }
});
