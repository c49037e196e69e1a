/** Fits a logistic regression to a file of columns, and writes its coefficients. @module */
import { createDataset } from "../../services/model-training/domain/dataset.ts";
import { fitLinear } from "../../services/model-training/domain/trainers/linear/fit_linear.ts";

const [file, rowsText, featuresText, l2, into] = Deno.args as [string, string, string, string, string];
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

/** The fit of a process whose time says what is left when V8 has compiled all of it. */
const WARM_FIT = 5;
const started = performance.now();
const { parameters: coefficients, iterations } = fit();
const ms = performance.now() - started;
for (let again = 2; again < WARM_FIT; again++) fit();
const warmFrom = performance.now();
fit();
const warmMs = performance.now() - warmFrom;
Deno.writeTextFileSync(into, JSON.stringify([...coefficients]));
// deno-lint-ignore no-console -- what the benchmark reads
console.log(JSON.stringify({ ms, iterations, warm_ms: warmMs }));
