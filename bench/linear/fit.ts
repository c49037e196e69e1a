/** Fits a logistic regression to a file of columns, some times over, and writes its coefficients. @module */
import { createDataset } from "../../services/model-training/domain/dataset.ts";
import { fitLinear } from "../../services/model-training/domain/trainers/linear/fit_linear.ts";
import { median } from "../harness.ts";

const [file, rowsText, featuresText, l2, into, count] = Deno.args as [
  string,
  string,
  string,
  string,
  string,
  string,
];
const rows = Number(rowsText);
const features = Number(featuresText);
const matrix = new Float32Array(Deno.readFileSync(file).buffer);
const column = (index: number) => matrix.subarray(index * rows, (index + 1) * rows);
const dataset = createDataset({
  featureNames: Array.from({ length: features }, (_, index) => `v.f${index}`),
  columns: Array.from({ length: features }, (_, index) => column(index)),
  labels: column(features),
  times: new Float64Array(rows),
  entities: new Array<string>(rows).fill("[]"),
});
const parameters = { l1: 0, l2: Number(l2), maxIterations: 500, classWeights: "none" } as const;
const fit = () => fitLinear(dataset, { task: "binary", parameters: {}, seed: 1 }, parameters);

const fits = Array.from({ length: Number(count) }, () => {
  const started = performance.now();
  const { parameters: coefficients, iterations } = fit();
  return { ms: performance.now() - started, coefficients, iterations };
});
const [first, ...others] = fits;
Deno.writeTextFileSync(into, JSON.stringify([...first!.coefficients]));
// deno-lint-ignore no-console -- what the benchmark reads
console.log(JSON.stringify({
  first_ms: first!.ms,
  ms: median(others.map(({ ms }) => ms)),
  iterations: first!.iterations,
}));
