/** The benchmark `quality`. @module */
import { parse } from "csv-parse/sync";
import { createDataset, type Dataset, selectRows } from "../services/model-training/domain/dataset.ts";
import { lastValues } from "../services/model-training/domain/evaluation/last_value.ts";
import { METRICS, metricValue, scoreRows } from "../services/model-training/domain/evaluation/metrics.ts";
import { Random } from "../services/model-training/domain/random.ts";
import { gbdt } from "../services/model-training/domain/trainers/gbdt.ts";
import type { Bench, BenchOptions, BenchResult } from "./harness.ts";
import { findPeer, peerMissing, runForJson } from "./peers/peer.ts";

/** A public data set, how it is split, and what trees are given to learn it. */
interface Subject {
  file: string;
  label: string;
  /** Numbers or dates of rows, and what tells the label. */
  leftOut?: readonly string[];
  task: "binary" | "regression";
  metric: "auc" | "rmse";
  /** `folds`: five, shuffled. `time`: the last fifth of the rows. */
  split: "folds" | "time";
  parameters: { rounds: number; learningRate: number; maxLeaves: number };
}

const USUAL = { rounds: 300, learningRate: 0.03, maxLeaves: 31 };

const SUBJECTS: readonly Subject[] = [
  {
    file: "adult_train_part",
    label: "income >50K",
    task: "binary",
    metric: "auc",
    split: "folds",
    parameters: USUAL,
  },
  {
    file: "online_shoppers_intention",
    label: "Revenue",
    task: "binary",
    metric: "auc",
    split: "folds",
    parameters: USUAL,
  },
  {
    file: "california_housing",
    label: "median_house_value",
    task: "regression",
    metric: "rmse",
    split: "folds",
    parameters: { ...USUAL, rounds: 800, learningRate: 0.05 },
  },
  {
    file: "bike_sharing_hour_2011",
    label: "cnt",
    leftOut: ["instant", "dteday"],
    task: "regression",
    metric: "rmse",
    split: "time",
    parameters: USUAL,
  },
  {
    file: "elec2_first40",
    label: "class",
    task: "binary",
    metric: "auc",
    split: "time",
    parameters: USUAL,
  },
];

const FOLDS = 5;

export const quality: Bench = {
  name: "quality",
  summary: "how well trees predict real data beside LightGBM, same rows and parameters",
  run,
};

async function run({ scale, say }: BenchOptions): Promise<BenchResult> {
  const result: BenchResult = { ratios: {}, figures: {}, notes: [] };
  const folder = Deno.env.get("MICROML_DATA");
  if (folder === undefined) {
    result.notes.push(
      `nothing measured: MICROML_DATA must name a folder with ${
        SUBJECTS.map(({ file }) => `${file}.csv.gz`).join(", ")
      }`,
    );
    return result;
  }
  const python = findPeer("trainers");
  if (python === undefined) result.notes.push(peerMissing("trainers"));
  for (const subject of SUBJECTS) {
    const path = `${folder}/${subject.file}.csv.gz`;
    const dataset = await readSubject(path, subject);
    if (dataset === undefined) {
      result.notes.push(`left out: there is no ${path}`);
      continue;
    }
    const parameters = { ...subject.parameters, rounds: Math.ceil(subject.parameters.rounds * scale) };
    const parts = partsOf(dataset.rows, subject.split);
    const own = await judge(dataset, { ...subject, parameters }, parts);
    const { file, metric } = subject;
    result.figures[`${file}_${metric}`] = own.value;
    if (subject.split === "time" && subject.task === "binary") {
      result.figures[`${file}_accuracy`] = own.accuracy;
      result.figures[`${file}_accuracy_of_last_class`] = accuracyOfLast(dataset, parts[0]!.test);
    }
    say(`${file}: ${metric} ${own.value}`);
    if (python === undefined) continue;
    const peer = await judgePeer(python, { dataset, subject: { ...subject, parameters }, parts });
    result.figures[`${file}_${metric}_of_lightgbm`] = peer;
    say(`${file}: ${metric} of lightgbm ${peer}`);
    result.ratios[`lightgbm_${file}`] = METRICS[metric].better === "higher"
      ? own.value / peer
      : peer / own.value;
  }
  return result;
}

/** The rows to judge by, of each part; the others before them, or all others, are learnt from. */
function partsOf(rows: number, split: Subject["split"]): { test: Int32Array; train: Int32Array }[] {
  const all = Int32Array.from({ length: rows }, (_, row) => row);
  if (split === "time") {
    const border = Math.floor(rows * 0.8);
    return [{ train: all.slice(0, border), test: all.slice(border) }];
  }
  const random = new Random(1);
  const fold = Uint8Array.from(all, () => random.below(FOLDS));
  return Array.from({ length: FOLDS }, (_, number) => ({
    train: all.filter((row) => fold[row] !== number),
    test: all.filter((row) => fold[row] === number),
  }));
}

async function judge(
  dataset: Dataset,
  { task, metric, parameters }: Subject,
  parts: ReturnType<typeof partsOf>,
) {
  const sums = { value: 0, accuracy: 0 };
  for (const { train, test } of parts) {
    const model = await gbdt.fit(selectRows(dataset, train), {
      task,
      parameters: { ...parameters },
      seed: 1,
    });
    const rows = selectRows(dataset, test);
    const scored = scoreRows(rows.labels, model.predict(rows));
    sums.value += metricValue(metric, scored) / parts.length;
    if (task === "binary") sums.accuracy += metricValue("accuracy", scored) / parts.length;
  }
  return sums;
}

/** Each row is given the class of the row before it. */
function accuracyOfLast(dataset: Dataset, test: Int32Array): number {
  const rows = selectRows(dataset, test);
  const answers = lastValues(rows, dataset, { horizonMs: 0, fallback: [0] });
  return metricValue("accuracy", scoreRows(rows.labels, answers));
}

async function judgePeer(
  python: string,
  { dataset, subject, parts }: { dataset: Dataset; subject: Subject; parts: ReturnType<typeof partsOf> },
): Promise<number> {
  const folder = await Deno.makeTempDir({ prefix: "microml-bench-" });
  try {
    const { rows } = dataset;
    const features = dataset.columns.length;
    // Column after column, then the labels and, row by row, which part it is judged in (-1: none).
    const matrix = new Float32Array((features + 2) * rows);
    dataset.columns.forEach((column, feature) => {
      const isText = dataset.dictionaries[feature] !== null;
      matrix.set(isText ? column.map((code) => code === 0 ? NaN : code) : column, feature * rows);
    });
    matrix.set(dataset.labels, features * rows);
    const part = matrix.subarray((features + 1) * rows).fill(-1);
    parts.forEach(({ test }, number) => test.forEach((row) => part[row] = number));
    await Deno.writeFile(`${folder}/matrix`, new Uint8Array(matrix.buffer));
    const categories = [...dataset.dictionaries.keys()].filter((feature) =>
      dataset.dictionaries[feature] !== null
    );
    const { task, metric, parameters } = subject;
    const task_ = JSON.stringify({
      rows,
      features,
      categories,
      task,
      metric,
      parts: parts.length,
      ...parameters,
    });
    const script = new URL("peers/lightgbm_quality.py", import.meta.url).pathname;
    const { value } = await runForJson(python, [script, `${folder}/matrix`, task_]);
    return value!;
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

async function readSubject(path: string, { label, leftOut = [] }: Subject): Promise<Dataset | undefined> {
  let file: Deno.FsFile;
  try {
    file = await Deno.open(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
  const text = await new Response(file.readable.pipeThrough(new DecompressionStream("gzip"))).text();
  const [header, ...records] = parse(text, { trim: true }) as string[][];
  const names = header!.filter((name) => name !== label && !leftOut.includes(name));
  const column = (name: string) => records.map((record) => record[header!.indexOf(name)]!);
  return createDataset({
    featureNames: names.map((_, index) => `v.f${index}`),
    columns: names.map((name) => columnOf(column(name))),
    labels: column(label).map((value) =>
      /^true$/i.test(value) ? 1 : /^false$/i.test(value) ? 0 : Number(value)
    ),
    times: records.map((_, row) => row),
    entities: records.map(() => "[]"),
  });
}

/** Numbers where all texts are, else categories; the empty text is missing. */
function columnOf(texts: readonly string[]) {
  if (texts.every((text) => Number.isFinite(Number(text)))) {
    return texts.map((text) => text === "" ? NaN : Number(text));
  }
  const categories = [...new Set(texts)].filter((text) => text !== "").sort();
  const positions = new Map(categories.map((text, position) => [text, position]));
  return { values: texts.map((text) => positions.get(text) ?? NaN), categories };
}
