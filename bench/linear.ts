/** The benchmark `linear`. @module */
import { Random } from "../services/model-training/domain/random.ts";
import { type Bench, type BenchOptions, type BenchResult, inTurn } from "./harness.ts";
import { findPeer, peerMissing, runForJson } from "./peers/peer.ts";

const SIZES = [
  { name: "small", rows: 30_000, features: 20 },
  { name: "large", rows: 400_000, features: 30 },
];
/** Half of it times the sum of the squared weights: scikit-learn's C is one over it. */
const L2 = 1;
/** Ours fits on one, so the peer may have no more. */
const THREADS = 1;
/** Fits of a process: the first, and those whose median is the time of a fit. */
const FITS = 6;

export const linear: Bench = {
  name: "linear",
  summary: "logistic regression on one thread beside scikit-learn: time and coefficients",
  run,
};

async function run({ rounds, scale, say }: BenchOptions): Promise<BenchResult> {
  const python = findPeer("trainers");
  const result: BenchResult = {
    ratios: {},
    figures: { threads: THREADS },
    notes: python === undefined ? [peerMissing("trainers")] : [],
  };
  const folder = await Deno.makeTempDir({ prefix: "microml-bench-" });
  const script = (path: string) => new URL(path, import.meta.url).pathname;
  try {
    for (const { name, rows: fullRows, features } of SIZES) {
      const rows = Math.round(fullRows * scale);
      const file = `${folder}/${name}`;
      writeRows(file, rows, features);
      const argsFor = (side: string, ...more: number[]) =>
        [file, rows, features, L2, `${file}.${side}`, ...more, FITS].map(String);
      const measured = await inTurn({
        microml: () =>
          runForJson(Deno.execPath(), [
            "run",
            "-A",
            "--no-check",
            script("linear/fit.ts"),
            ...argsFor("microml"),
          ]),
        ...(python === undefined ? {} : {
          sklearn: () =>
            runForJson(python, [script("peers/sklearn_logistic.py"), ...argsFor("sklearn", THREADS)]),
        }),
      }, { rounds, say: (line) => say(`${name}: ${line}`) });
      for (const [side, figures] of Object.entries(measured)) {
        for (const [figure, value] of Object.entries(figures)) {
          result.figures[`${name}_${side}_${figure}`] = value;
        }
      }
      const { microml, sklearn } = measured;
      if (sklearn === undefined) continue;
      result.ratios[`sklearn_time_${name}`] = sklearn["ms"]! / microml!["ms"]!;
      result.ratios[`sklearn_first_time_${name}`] = sklearn["first_ms"]! / microml!["first_ms"]!;
      const [own, peer] = ["microml", "sklearn"].map((side) =>
        JSON.parse(Deno.readTextFileSync(`${file}.${side}`)) as number[]
      );
      result.figures[`${name}_largest_difference_of_coefficients`] = Math.max(
        ...own!.map((value, i) => Math.abs(value - peer![i]!)),
      );
    }
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
  return result;
}

/** Correlated features of different scale and a label that a noisy sum of them decides: float32, labels last. */
function writeRows(file: string, rows: number, features: number): void {
  const random = new Random(1);
  const normal = () => 2 * (random.uniform() + random.uniform() + random.uniform() - 1.5);
  const common = Float32Array.from({ length: rows }, normal);
  const score = new Float64Array(rows);
  const matrix = new Float32Array((features + 1) * rows);
  for (let feature = 0; feature < features; feature++) {
    const weight = feature % 3 === 0 ? 0 : normal() / 2;
    for (let row = 0; row < rows; row++) {
      const value = normal() + common[row]! / 2;
      matrix[feature * rows + row] = 10 ** (feature % 4) * value + feature;
      score[row] = score[row]! + weight * value;
    }
  }
  for (let row = 0; row < rows; row++) matrix[features * rows + row] = score[row]! + 2 * normal() > 1 ? 1 : 0;
  Deno.writeFileSync(file, new Uint8Array(matrix.buffer));
}
