/** A version on its way into memory: read, allowed, loaded, tried, asked for what it is known to answer, warmed. @module */
import type { AliasEntry } from "shared/contracts/model_training.ts";
import type { Signature } from "shared/contracts/signature.ts";
import { type ModelBatch, type ModelShape, shapeOf } from "shared/onnx/model_batch.ts";
import { type Batcher, type BatcherOptions, type BatchLimits, createBatcher } from "../batching/batcher.ts";
import { type GoldenBatch, refuseOtherAnswers } from "./golden_rows.ts";
import type { LoadedModel } from "./runtime.ts";
import { loadTrees } from "./tree_walker.ts";
import { admissionOf } from "./version_file.ts";
import type { ReadVersion } from "./version_reader.ts";
import type { WasmRuntime } from "./wasm_runtime.ts";

export interface ServedVersion {
  readonly entry: AliasEntry;
  readonly signature: Signature;
  readonly model: LoadedModel;
  readonly batcher: Batcher;
}

export interface AdmissionOptions {
  read: ReadVersion;
  /** In which versions run that no other runtime takes. */
  wasm: WasmRuntime;
  /** In which versions are tried before: a thread that nobody else uses. */
  trial: WasmRuntime;
  batches: BatchLimits;
  onRun?: BatcherOptions["onRun"];
}

/** Runs before a version answers: what is compiled while it runs gets faster over its first runs. */
const WARM_UP_RUNS = 50;
/** In a trial, beside the golden rows: as many rows as a full run has. */
const TRIAL_ROWS = 1_024;

/**
 * Lets a version in. A file that the WASM runtime will run is tried in a thread of its own first, so that one that
 * hangs, or takes what memory there is, harms nobody. Trees are tried where they are read.
 *
 * @throws {AppError} `unprocessable` when its operators, its format or its answers are not accepted; `invalid` when its
 * signature is not the registry's or the runtime refuses it; `timeout` when reading or trying it takes too long
 */
export async function admitVersion(
  entry: AliasEntry,
  file: Uint8Array,
  { read, wasm, trial, batches, onRun }: AdmissionOptions,
): Promise<ServedVersion> {
  const { signature } = entry;
  const shape = shapeOf(signature);
  const { golden, trees } = await read(file, entry);
  if (trees === undefined) {
    const tried = await trial.load(file, shape);
    try {
      await tryOut(tried, golden, { shape, action: admissionOf(entry) });
    } finally {
      await tried.unload();
    }
  }
  const model = trees === undefined ? await wasm.load(file, shape) : loadTrees(trees, shape);
  try {
    for (let run = 0; run < WARM_UP_RUNS; run++) await model.predict(emptyRows(1, shape));
  } catch (error) {
    await model.unload();
    throw error;
  }
  const batcher = createBatcher(model, {
    model: entry.model,
    ...batches,
    ...(onRun === undefined ? {} : { onRun }),
  });
  return { entry, signature, model, batcher };
}

/** Asks for the golden rows, and for a full run. */
async function tryOut(
  model: LoadedModel,
  golden: GoldenBatch | undefined,
  { shape, action }: { shape: ModelShape; action: string },
): Promise<void> {
  if (golden !== undefined) refuseOtherAnswers(await model.predict(golden.batch), golden, action);
  await model.predict(emptyRows(TRIAL_ROWS, shape));
}

const emptyRows = (rows: number, shape: ModelShape): ModelBatch => ({
  rows,
  numbers: new Float32Array(rows * shape.numbers),
  categories: new Array<string>(rows * shape.categories).fill(""),
});
