/** Fits trees to a file of columns and says how long it took, as a process whose peak memory can be told. @module */
import { createDataset, selectRows } from "../../services/model-training/domain/dataset.ts";
import { metricValue, scoreRows } from "../../services/model-training/domain/evaluation/metrics.ts";
import { gbdt } from "../../services/model-training/domain/trainers/gbdt.ts";

const [file, rowsText, featuresText, threadsText, parameters] = Deno.args as [
  string,
  string,
  string,
  string,
  string,
];
const rows = Number(rowsText);
const features = Number(featuresText);

/** One column after the other, the labels last, float32. */
function readColumn(column: number): Float32Array {
  const bytes = new Uint8Array(new SharedArrayBuffer(4 * rows));
  using source = Deno.openSync(file);
  source.seekSync(4 * rows * column, Deno.SeekMode.Start);
  for (let at = 0; at < bytes.length;) at += source.readSync(bytes.subarray(at)) ?? bytes.length;
  return new Float32Array(bytes.buffer);
}

const dataset = createDataset({
  featureNames: Array.from({ length: features }, (_, index) => `v.f${index}`),
  columns: Array.from({ length: features }, (_, index) => readColumn(index)),
  labels: readColumn(features),
  times: new Float64Array(rows),
  entities: new Array<string>(rows).fill("[]"),
});
const started = performance.now();
const model = await gbdt.fit(dataset, {
  task: "binary",
  parameters: JSON.parse(parameters),
  seed: 1,
  threads: Number(threadsText),
});
const seconds = (performance.now() - started) / 1000;
const peak = /VmHWM:\s+(\d+)/.exec(Deno.readTextFileSync("/proc/self/status"));
const some = selectRows(dataset, Int32Array.from({ length: Math.min(rows, 100_000) }, (_, row) => row));
const loss = metricValue("log_loss", scoreRows(some.labels, model.predict(some)));
// deno-lint-ignore no-console -- what the benchmark reads
console.log(JSON.stringify({ seconds, peak_mb: Number(peak?.[1]) / 1024, loss }));
