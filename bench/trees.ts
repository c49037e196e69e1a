/** The benchmark `trees`. @module */
import { Random } from "../services/model-training/domain/random.ts";
import { type Bench, type BenchOptions, type BenchResult, inTurn } from "./harness.ts";
import { findPeer, peerMissing, runForJson } from "./peers/peer.ts";

/** The same for both; what is not named has the same default in both. */
const PARAMETERS = { rounds: 200, maxLeaves: 63, learningRate: 0.1, minRowsPerLeaf: 20 };

const SIZES = [
  { name: "wide", rows: 320_000, features: 30 },
  { name: "long", rows: 3_000_000, features: 10 },
];

export const trees: Bench = {
  name: "trees",
  summary: "gradient-boosted trees beside LightGBM: time and peak memory",
  run,
};

async function run({ rounds, scale, say }: BenchOptions): Promise<BenchResult> {
  const python = findPeer("trainers");
  const threads = navigator.hardwareConcurrency;
  const result: BenchResult = {
    ratios: {},
    figures: { threads },
    notes: python === undefined ? [peerMissing("trainers")] : [],
  };
  const folder = await Deno.makeTempDir({ prefix: "microml-bench-" });
  try {
    for (const { name, rows: fullRows, features } of SIZES) {
      const rows = Math.round(fullRows * scale);
      const file = `${folder}/${name}`;
      writeColumns(file, rows, features);
      const args = [file, rows, features, threads, JSON.stringify(PARAMETERS)].map(String);
      const script = (path: string) => new URL(path, import.meta.url).pathname;
      const measured = await inTurn({
        microml: () =>
          runForJson(Deno.execPath(), ["run", "-A", "--no-check", script("trees/fit.ts"), ...args]),
        ...(python === undefined
          ? {}
          : { lightgbm: () => runForJson(python, [script("peers/lightgbm_trees.py"), ...args]) }),
      }, { rounds, say: (line) => say(`${name}: ${line}`) });
      for (const [side, figures] of Object.entries(measured)) {
        for (const [figure, value] of Object.entries(figures)) {
          result.figures[`${name}_${side}_${figure}`] = value;
        }
      }
      const { microml, lightgbm } = measured;
      if (lightgbm === undefined) continue;
      result.ratios[`lightgbm_time_${name}`] = lightgbm["seconds"]! / microml!["seconds"]!;
      result.ratios[`lightgbm_memory_${name}`] = lightgbm["peak_mb"]! / microml!["peak_mb"]!;
    }
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
  return result;
}

/**
 * Columns of normal and of whole numbers, a tenth of every third one missing, and a label that a sum of steps, products
 * and noise decides: float32, column after column, the labels last.
 */
function writeColumns(file: string, rows: number, features: number): void {
  const random = new Random(1);
  const score = new Float32Array(rows);
  const column = new Float32Array(rows);
  let previous = new Float32Array(rows);
  using target = Deno.openSync(file, { write: true, create: true, truncate: true });
  const write = () => {
    const bytes = new Uint8Array(column.buffer);
    for (let at = 0; at < bytes.length;) at += target.writeSync(bytes.subarray(at));
  };
  for (let feature = 0; feature < features; feature++) {
    for (let row = 0; row < rows; row++) {
      const sum = random.uniform() + random.uniform() + random.uniform() - 1.5;
      const value = feature % 5 === 4 ? Math.round(sum * 20) : sum;
      column[row] = feature % 3 === 2 && random.uniform() < 0.1 ? NaN : value;
      const known = Number.isNaN(column[row]) ? 0.3 : value;
      score[row]! += ((known > 0.2 ? 1 : 0) + known * previous[row]!) / (1 + feature / 3);
    }
    previous = column.map((value) => Number.isNaN(value) ? 0 : Math.sign(value));
    write();
  }
  for (let row = 0; row < rows; row++) {
    column[row] = score[row]! + 2 * (random.uniform() + random.uniform() - 1) > 1 ? 1 : 0;
  }
  write();
}
