import { assert, assertAlmostEquals, assertEquals } from "@std/assert";
import { datasetOf } from "../../../testing/datasets.ts";
import { learnVocabularies } from "../../encoding.ts";
import { createDesign, fitStandardiser } from "./design.ts";
import type { LinearProblem } from "./loss.ts";
import { planSample, sampleProblem } from "./sample.ts";

/** The row's number is its only feature. */
function problemOf(labels: number[], classWeights: number[], task: LinearProblem["task"]): LinearProblem {
  const train = datasetOf([[...labels.keys()]], labels);
  const vocabularies = learnVocabularies(train);
  const design = createDesign(train, {
    vocabularies,
    standardiser: fitStandardiser(train.columns, vocabularies),
  });
  return { design, labels: train.labels, classWeights: Float64Array.from(classWeights), task, outputs: 1 };
}

Deno.test("sampleProblem() takes as many of each class, which weigh as much as all of it, evenly over the rows", () => {
  const labels = Array.from({ length: 1_000 }, (_, row) => row % 200 === 50 ? 1 : 0);
  const problem = problemOf(labels, [2, 3], "binary");
  const sample = sampleProblem(problem, { classRows: Float64Array.of(995, 5), wanted: 100 });
  const counts = [0, 1].map((label) => sample.labels.filter((own) => own === label).length);
  assertEquals(counts[1], 5);
  assert(Math.abs(counts[0]! - 50) <= 1, `${counts[0]}`);
  assertAlmostEquals(counts[0]! * sample.classWeights[0]!, 2 * 995, 2 * 995 / 40);
  assertEquals(sample.classWeights[1], 3);
  const rows = sample.design.numbers[0]!;
  assertEquals(sample.design.rows, rows.length);
  assertEquals([...sample.labels], [...rows].map((row) => labels[row]!));
  const largestGap = Math.max(...rows.subarray(1).map((row, i) => row - rows[i]!));
  assert(largestGap < 30, `${largestGap}`);
});

Deno.test("sampleProblem() takes all rows where there are no more than wanted", () => {
  const problem = problemOf([0.5, 1, 7], [1], "regression");
  const sample = sampleProblem(problem, { classRows: Float64Array.of(3), wanted: 10 });
  assertEquals(sample, problem);
});

Deno.test("planSample() takes parameters together as far as that is worth its cost, and each alone with L1", () => {
  const plan = (rows: number, parameters: number, outputs: number, hasL1 = false) => {
    const problem = problemOf([0, 1], [1, 1], outputs > 1 ? "multiclass" : "binary");
    return planSample({ ...problem, outputs, design: { ...problem.design, rows, parameters } }, { hasL1 })
      .form;
  };
  assertEquals(plan(30_000, 21, 1), "joint");
  assertEquals(plan(30_000, 21, 5), "joint");
  assertEquals(plan(30_000, 21, 60), "by_output");
  assertEquals(plan(2_000, 701, 1), "diagonal");
  assertEquals(plan(30_000, 21, 1, true), "diagonal");
});
