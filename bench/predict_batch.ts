/**
 * `predict-batch`: 1,000 rows a call. The runtimes alone beside native ONNX Runtime alone, and whole requests, which
 * also read JSON, check each value, and log each row.
 *
 * @module
 */
import { join } from "node:path";
import { silentLogger } from "shared/log.ts";
import { admitModelFile } from "shared/onnx/admission.ts";
import { createRuntimeCode } from "shared/onnx/runtime_code.ts";
import type { LoadedModel } from "../services/model-serving/runtime/runtime.ts";
import { compileTrees } from "../services/model-serving/runtime/tree_program.ts";
import { loadTrees } from "../services/model-serving/runtime/tree_walker.ts";
import { createWasmRuntime } from "../services/model-serving/runtime/wasm_runtime.ts";
import { type Bench, type BenchOptions, type BenchResult, inTurn } from "./harness.ts";
import { findPeer, peerMissing, runForJson } from "./peers/peer.ts";
import { FEATURES, forestFile, namedRow, NAMES, rowsOf } from "./serving/forest.ts";
import { startServingStack } from "./serving/serving_stack.ts";
import { hasWrk, runLoad } from "./serving/wrk.ts";

const ROWS = 1_000;
const SECONDS = 3;
const CONNECTIONS = 4;
const SCRIPT = new URL("peers/onnxruntime_rows.py", import.meta.url).pathname;

export const predictBatch: Bench = {
  name: "predict-batch",
  summary: "1,000 rows a call, beside native ONNX Runtime",
  run,
};

async function run({ rounds, scale, say }: BenchOptions): Promise<BenchResult> {
  await using serving = await startServingStack({ say });
  const seconds = Math.max(1, Math.round(SECONDS * scale));
  const folder = serving.bench.folder;
  const bytes = forestFile(1);
  const file = join(folder, "forest.onnx");
  await Deno.writeFile(file, bytes);
  await serving.serve("forest", 1, bytes);

  const rows = rowsOf(ROWS);
  const shape = { numbers: FEATURES, categories: 0, outputs: 1 };
  const wasm = createWasmRuntime({ log: silentLogger, code: createRuntimeCode() });
  const walker = loadTrees(compileTrees(admitModelFile(bytes), shape)!, shape);
  const inWasm = await wasm.load(bytes, shape);
  const batch = { rows: ROWS, numbers: Float32Array.from(rows.flat()), categories: [] };
  const alone = (model: LoadedModel) => async () => {
    let runs = 0;
    const startedAt = performance.now();
    while (performance.now() - startedAt < seconds * 1_000) {
      await model.predict(batch);
      runs++;
    }
    return { per_second: runs * ROWS / (performance.now() - startedAt) * 1_000 };
  };
  const columns = Object.fromEntries(NAMES.map((name, at) => [name, rows.map((row) => row[at]!)]));
  const load =
    (path: string, body: string | Uint8Array, headers: Record<string, string> = {}) => async () => {
      await serving.emptyLog();
      const target = { url: `${serving.url}${path}`, body, headers };
      const { perSecond } = await runLoad({ ...target, connections: CONNECTIONS, seconds }, folder);
      return { per_second: perSecond * ROWS };
    };
  const PREDICT = "/v1/models/forest/predict";
  const INFER = "/v2/models/forest/infer";
  const tensor = { name: "features", datatype: "FP32", shape: [ROWS, FEATURES] };
  const binary = binaryRequest(tensor, batch.numbers);
  const whole = {
    columns: load(PREDICT, JSON.stringify({ columns })),
    rows: load(PREDICT, JSON.stringify({ rows: rows.map(namedRow) })),
    tensors: load(INFER, JSON.stringify({ inputs: [{ ...tensor, data: rows.flat() }] })),
    binary_tensors: load(INFER, binary.body, binary.headers),
  };
  const python = findPeer("fastapi");
  const notes = [`${ROWS} rows a call; whole requests over ${CONNECTIONS} connections, each row logged`];
  if (python === undefined) notes.push(peerMissing("fastapi"));
  if (!await hasWrk()) notes.push("wrk is not there: whole requests were not measured");
  const results = await inTurn({
    walker: alone(walker),
    wasm: alone(inWasm),
    ...(python === undefined
      ? {}
      : { native: () => runForJson(python, [SCRIPT, file, String(ROWS), String(seconds)]) }),
    ...(await hasWrk() ? whole : {}),
  }, { rounds, say });
  await wasm.stop();
  const figures = Object.fromEntries(
    Object.entries(results).map(([name, { per_second }]) => [`${name}_rows_per_second`, per_second!]),
  );
  const native = figures["native_rows_per_second"];
  return {
    ratios: native === undefined ? {} : {
      native_onnxruntime: figures["walker_rows_per_second"]! / native,
      native_onnxruntime_wasm: figures["wasm_rows_per_second"]! / native,
      ...Object.fromEntries(
        Object.keys(whole).flatMap((name) => {
          const perSecond = figures[`${name}_rows_per_second`];
          return perSecond === undefined ? [] : [[`native_onnxruntime_${name}`, perSecond / native]];
        }),
      ),
    },
    figures,
    notes: [...notes, ...await serving.bench.describe()],
  };
}

/** A request whose numbers, and the answer's, stand as bytes behind the JSON. */
function binaryRequest(tensor: Record<string, unknown>, numbers: Float32Array) {
  const input = { ...tensor, parameters: { binary_data_size: numbers.byteLength } };
  const json = new TextEncoder().encode(
    JSON.stringify({ inputs: [input], parameters: { binary_data_output: true } }),
  );
  const body = new Uint8Array(json.length + numbers.byteLength);
  body.set(json);
  body.set(new Uint8Array(numbers.buffer), json.length);
  return { body, headers: { "Inference-Header-Content-Length": String(json.length) } };
}
