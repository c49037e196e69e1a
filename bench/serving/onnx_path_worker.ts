/**
 * ONNX Runtime in a thread, by its public API or by the synchronous path: the factory of the WASM build and its private
 * exports, with tensors made once for a number of rows. @module
 */
import type { ModelBatch, ModelShape } from "shared/onnx/model_batch.ts";

export type PathRequest =
  | { do: "load"; path: "public" | "synchronous"; file: Uint8Array; shape: ModelShape }
  | { do: "run"; batch: ModelBatch }
  | { do: "time"; batch: ModelBatch; ms: number };

/** Outputs of a run, or microseconds of one. */
export type PathReply = { outputs: Float32Array } | { us: number } | "loaded";

type Run = (batch: ModelBatch) => Float32Array | Promise<Float32Array>;

interface Exports {
  HEAPU8: Uint8Array;
  _malloc(bytes: number): number;
  _OrtInit(threads: number, logLevel: number): number;
  _OrtCreateSession(file: number, length: number, options: number): number;
  _OrtGetInputOutputMetadata(session: number, index: number, name: number, metadata: number): number;
  _OrtCreateTensor(
    type: number,
    data: number,
    bytes: number,
    dims: number,
    rank: number,
    place: number,
  ): number;
  _OrtRun(
    session: number,
    inputNames: number,
    inputs: number,
    inputCount: number,
    outputNames: number,
    outputCount: number,
    outputs: number,
    options: number,
  ): number;
}

const scope = globalThis as unknown as {
  onmessage: ((event: MessageEvent<PathRequest>) => void) | null;
  postMessage(reply: PathReply): void;
};
let run: Run;

// Set before anything is awaited: a message that comes while a module is loading would find nobody.
scope.onmessage = async ({ data: request }) => {
  if (request.do === "load") {
    run = await LOADERS[request.path](request.file, request.shape);
    scope.postMessage("loaded");
  } else if (request.do === "run") {
    scope.postMessage({ outputs: (await run(request.batch)).slice() });
  } else {
    scope.postMessage({ us: await timed(request.batch, request.ms) });
  }
};

async function timed(batch: ModelBatch, ms: number): Promise<number> {
  let runs = 0;
  const startedAt = performance.now();
  while (performance.now() - startedAt < ms) {
    for (let index = 0; index < 16; index++, runs++) await run(batch);
  }
  return (performance.now() - startedAt) / runs * 1_000;
}

const LOADERS: Record<"public" | "synchronous", (file: Uint8Array, shape: ModelShape) => Promise<Run>> = {
  async public(file, shape) {
    const { loadModel } = await import("shared/onnx/runtime.ts");
    const model = await loadModel(file, shape);
    return (batch) => model.predict(batch);
  },
  async synchronous(file, shape) {
    const { default: factory } = await import("onnxruntime-web/ort-wasm-simd-threaded.mjs");
    const wasm: Exports = await factory({ numThreads: 1 });
    return synchronousRun(wasm, file, shape);
  },
};

const POINTER = 4;
const FLOAT = 1;
const ON_CPU = 1;

function synchronousRun(wasm: Exports, file: Uint8Array, shape: ModelShape): Run {
  const bytes = (data: Uint8Array) => {
    const at = wasm._malloc(data.length);
    wasm.HEAPU8.set(data, at);
    return at;
  };
  const pointers = (...values: number[]) => {
    const at = wasm._malloc(values.length * POINTER);
    new Int32Array(wasm.HEAPU8.buffer, at, values.length).set(values);
    return at;
  };
  const check = (status: number, what: string) => {
    if (status !== 0) throw new Error(`Cannot ${what}: the runtime answers ${status}`);
  };
  check(wasm._OrtInit(1, 3), "start");
  const session = wasm._OrtCreateSession(bytes(file), file.length, 0);
  if (session === 0) throw new Error("Cannot load the model");
  const nameOf = (index: number) => {
    const place = pointers(0, 0);
    check(wasm._OrtGetInputOutputMetadata(session, index, place, place + POINTER), "read a name");
    return pointers(new Int32Array(wasm.HEAPU8.buffer, place, 1)[0]!);
  };
  const inputNames = nameOf(0);
  const outputNames = nameOf(1);
  const tensor = (width: number, ...dims: number[]) => {
    const size = width * POINTER;
    const data = wasm._malloc(size);
    return { data, made: wasm._OrtCreateTensor(FLOAT, data, size, pointers(...dims), dims.length, ON_CPU) };
  };
  const byRows = new Map<number, { input: number; output: number; run: () => number }>();

  function prepare(rows: number) {
    const input = tensor(rows * shape.numbers, rows, shape.numbers);
    const output = tensor(rows, rows);
    const inputs = pointers(input.made);
    const outputs = pointers(output.made);
    const run = () => wasm._OrtRun(session, inputNames, inputs, 1, outputNames, 1, outputs, 0);
    return { input: input.data, output: output.data, run };
  }

  return ({ rows, numbers }) => {
    let prepared = byRows.get(rows);
    if (prepared === undefined) byRows.set(rows, prepared = prepare(rows));
    // Views anew each time: the memory is another one when it has grown.
    new Float32Array(wasm.HEAPU8.buffer, prepared.input, numbers.length).set(numbers);
    check(prepared.run(), "run");
    return new Float32Array(wasm.HEAPU8.buffer, prepared.output, rows);
  };
}
