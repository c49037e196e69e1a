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
import { FEATURES, forestFile, NAMES, rowsOf } from "./serving/forest.ts";
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
  const tensor = { name: "features", datatype: "FP32", shape: [ROWS, FEATURES], data: rows.flat() };
  const load = (path: string, body: unknown) => async () => {
    await serving.emptyLog();
    const target = { url: `${serving.url}${path}`, body: JSON.stringify(body) };
    const { perSecond } = await runLoad({ ...target, connections: CONNECTIONS, seconds }, folder);
    return { per_second: perSecond * ROWS };
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
    ...(await hasWrk()
      ? {
        columns: load("/v1/models/forest/predict", { columns }),
        tensors: load("/v2/models/forest/infer", { inputs: [tensor] }),
      }
      : {}),
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
      ...(figures["columns_rows_per_second"] === undefined
        ? {}
        : { native_onnxruntime_whole: figures["columns_rows_per_second"] / native }),
    },
    figures,
    notes: [...notes, ...await serving.bench.describe()],
  };
}
