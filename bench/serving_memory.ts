/**
 * `serving-memory`: the memory of a serving process with ten models in it, over a million requests and over 200 swaps.
 *
 * @module
 */
import { delay } from "shared/delay.ts";
import type { Signature } from "shared/contracts/signature.ts";
import { signature as sumSignature, sumModelFile } from "../services/model-serving/testing/model_file.ts";
import type { Bench, BenchOptions, BenchResult } from "./harness.ts";
import { forestFile, namedRow, rowsOf, signature } from "./serving/forest.ts";
import { startServingStack } from "./serving/serving_stack.ts";
import { hasWrk, runLoad } from "./serving/wrk.ts";

const REQUESTS = 1_000_000;
const SWAPS = 200;
/** What a process with ten models may take. */
const LIMIT_MB = 250;
const SETTLE_MS = 5_000;
const LOOK_MS = 250;
const FORESTS = 5;
const SUMS = 5;

export const servingMemory: Bench = {
  name: "serving-memory",
  summary: "ten models in a process: its memory over a million requests and 200 swaps (needs wrk)",
  run,
};

async function run({ scale, say }: BenchOptions): Promise<BenchResult> {
  if (!await hasWrk()) return { ratios: {}, figures: {}, notes: ["wrk is not there: nothing was measured"] };
  await using serving = await startServingStack({ say });
  let most = 0;
  const memory = async () => {
    const rows = await serving.bench.stack.memory();
    const now = rows.find(({ name }) => name === "model-serving")!.bytes / 2 ** 20;
    most = Math.max(most, now);
    return now;
  };
  /** What comes and goes between the other looks: threads that start, code that is compiled. */
  const over = new AbortController();
  const looking = (async () => {
    for (; !over.signal.aborted; await delay(LOOK_MS, over.signal)) await memory();
  })();
  const models: { name: string; signature: Signature; file: (version: number) => Uint8Array }[] = [
    ...Array.from({ length: FORESTS }, (_, at) => ({ name: `forest${at}`, signature, file: forestFile })),
    // Of other graphs than trees, so that ONNX Runtime is in the process too.
    ...Array.from({ length: SUMS }, (_, at) => ({
      name: `sum${at}`,
      signature: sumSignature,
      file: (version: number) => sumModelFile([version, 1]),
    })),
  ];
  for (const { name, signature, file } of models) await serving.serve(name, 1, file(1), signature);
  const loaded = await memory();
  say(`ten models: ${loaded.toFixed(0)} MB`);

  const body = JSON.stringify({ rows: [namedRow(rowsOf(1)[0]!)] });
  const samples: number[] = [];
  const wanted = Math.round(REQUESTS * scale);
  for (let requests = 0; requests < wanted;) {
    const { name } = models[samples.length % FORESTS]!;
    const load = { url: `${serving.url}/v1/models/${name}/predict`, body, connections: 32, seconds: 5 };
    requests += (await runLoad(load, serving.bench.folder)).requests;
    samples.push(await memory());
    await serving.emptyLog();
    say(`${requests} requests: ${samples.at(-1)!.toFixed(0)} MB`);
  }
  const beforeSwaps = await memory();
  let mostInSwaps = 0;
  const swaps = Math.max(4, Math.round(SWAPS * scale));
  for (let swap = 2; swap <= swaps + 1; swap++) {
    const { name, signature, file } = models[swap % models.length]!;
    await serving.serve(name, swap, file(swap), signature);
    mostInSwaps = Math.max(mostInSwaps, await memory());
  }
  // Threads that ended are gone from memory a moment later.
  await delay(SETTLE_MS);
  const afterSwaps = await memory();
  over.abort();
  await looking;
  say(`${swaps} swaps: ${afterSwaps.toFixed(0)} MB`);
  const early = samples[Math.min(samples.length - 1, Math.ceil(samples.length / 5))]!;
  return {
    ratios: {
      limit: LIMIT_MB / most,
      flat: early / samples.at(-1)!,
      swaps: beforeSwaps / afterSwaps,
    },
    figures: {
      most_mb: most,
      ten_models_mb: loaded,
      most_under_load_mb: Math.max(...samples),
      after_requests_mb: samples.at(-1)!,
      most_in_swaps_mb: mostInSwaps,
      after_swaps_mb: afterSwaps,
      requests: wanted,
      swaps,
    },
    notes: [
      `${FORESTS} forests of 100 trees and ${SUMS} graphs that ONNX Runtime runs; V8 with the heap of the service's container`,
      `limit: ${LIMIT_MB} MB beside the most at any time; flat: after a fifth of the requests beside the end`,
    ],
  };
}
