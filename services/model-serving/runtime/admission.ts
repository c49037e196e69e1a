/** A version in memory, admitted before it answers anybody: load, predict, unload. @module */
import type { AliasEntry } from "shared/contracts/model_training.ts";
import { MODEL_METADATA, type Signature, signatureSchema } from "shared/contracts/signature.ts";
import { invalid } from "shared/errors.ts";
import { shapeOf } from "shared/onnx/model_batch.ts";
import { loadModel } from "shared/onnx/runtime.ts";
import { readModel } from "shared/onnx/reader.ts";
import { parseWith } from "shared/validation.ts";
import { type Batcher, type BatchLimits, createBatcher } from "../batching/batcher.ts";
import type { LoadedModel } from "./runtime.ts";

export interface ServedVersion {
  readonly entry: AliasEntry;
  readonly signature: Signature;
  readonly model: LoadedModel;
  readonly batcher: Batcher;
}

/** Rows of the trial run; the WASM code gets faster over its first runs. */
const WARM_UP_RUNS = 50;

/**
 * Loads a version and tries it.
 *
 * @throws {AppError} `invalid` when the file's signature is not the registry's, or it does not answer a trial run
 */
export async function admitVersion(
  entry: AliasEntry,
  file: Uint8Array,
  limits: BatchLimits,
): Promise<ServedVersion> {
  const { metadata } = readModel(file);
  const text = metadata[MODEL_METADATA.signature];
  if (text === undefined) {
    throw invalid(
      `Cannot admit ${entry.model} v${entry.version}: the file says no "${MODEL_METADATA.signature}"`,
    );
  }
  const signature = parseWith(signatureSchema, JSON.parse(text), `admit ${entry.model} v${entry.version}`);
  if (JSON.stringify(signature) !== JSON.stringify(entry.signature)) {
    throw invalid(
      `Cannot admit ${entry.model} v${entry.version}: its signature is not the one in the registry`,
    );
  }
  const loaded = await loadModel(file, shapeOf(signature));
  try {
    const { numbers, categories } = loaded.shape;
    const row = {
      rows: 1,
      numbers: new Float32Array(numbers),
      categories: new Array<string>(categories).fill(""),
    };
    for (let run = 0; run < WARM_UP_RUNS; run++) await loaded.predict(row);
  } catch (error) {
    await loaded.unload();
    throw error;
  }
  const model: LoadedModel = {
    runtime: "onnxruntime-web",
    outputWidth: loaded.shape.outputs,
    batches: true,
    predict: (rows) => loaded.predict(rows),
    unload: () => loaded.unload(),
  };
  return { entry, signature, model, batcher: createBatcher(model, { model: entry.model, ...limits }) };
}
