/** A version on its way into memory: read, allowed, loaded, tried, asked for what it is known to answer, warmed. @module */
import type { AliasEntry } from "shared/contracts/model_training.ts";
import {
  type GoldenRows,
  goldenRowsSchema,
  MODEL_METADATA,
  outputWidth,
  type Signature,
  signatureSchema,
} from "shared/contracts/signature.ts";
import { AppError, invalid, messageOf } from "shared/errors.ts";
import { admitModelFile } from "shared/onnx/admission.ts";
import { type ModelBatch, type ModelShape, shapeOf } from "shared/onnx/model_batch.ts";
import { parseWith } from "shared/validation.ts";
import type { z } from "zod";
import { type Batcher, type BatcherOptions, type BatchLimits, createBatcher } from "../batching/batcher.ts";
import { createRowChecker } from "../validation/row_checker.ts";
import type { LoadedModel } from "./runtime.ts";
import { loadTrees } from "./tree_walker.ts";
import type { WasmRuntime } from "./wasm_runtime.ts";

export interface ServedVersion {
  readonly entry: AliasEntry;
  readonly signature: Signature;
  readonly model: LoadedModel;
  readonly batcher: Batcher;
}

export interface AdmissionOptions {
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
/** Recorded rows that a file may carry: they are asked for in one run. */
const MAX_GOLDEN_ROWS = 1_024;
/** By how much an answer may differ from the recorded one, as a part of it, or of 1 for smaller ones. */
const TOLERANCE = 1e-5;

/**
 * Lets a version in. A file that the WASM runtime will run is tried in a thread of its own first, so that one that
 * hangs, or takes what memory there is, harms nobody.
 *
 * @throws {AppError} `unprocessable` when its operators, its format or its answers are not accepted; `invalid` when its
 * signature is not the registry's or the runtime refuses it; `timeout` when the trial takes too long
 */
export async function admitVersion(
  entry: AliasEntry,
  file: Uint8Array,
  { wasm, trial, batches, onRun }: AdmissionOptions,
): Promise<ServedVersion> {
  const action = `admit ${entry.model} v${entry.version}`;
  const summary = admitModelFile(file);
  const signature = signatureOf(entry, summary.metadata, action);
  const golden = goldenOf(summary.metadata, signature, action);
  const shape = shapeOf(signature);
  const trees = loadTrees(file, summary, shape);
  if (trees === undefined) {
    const tried = await trial.load(file, shape);
    try {
      await tryOut(tried, { signature, golden, shape, action });
    } finally {
      await tried.unload();
    }
  }
  const model = trees ?? await wasm.load(file, shape);
  try {
    if (trees !== undefined) await tryOut(trees, { signature, golden, shape, action });
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

function signatureOf(
  entry: AliasEntry,
  metadata: Readonly<Record<string, string>>,
  action: string,
): Signature {
  const text = metadata[MODEL_METADATA.signature];
  if (text === undefined) throw invalid(`Cannot ${action}: the file says no "${MODEL_METADATA.signature}"`);
  const signature = readJson(signatureSchema, text, action);
  if (JSON.stringify(signature) !== JSON.stringify(entry.signature)) {
    throw invalid(`Cannot ${action}: its signature is not the one in the registry`);
  }
  return signature;
}

/** @throws {AppError} `unprocessable` where they are not as wide or as many as the model's: they would prove nothing */
function goldenOf(
  metadata: Readonly<Record<string, string>>,
  signature: Signature,
  action: string,
): GoldenRows | undefined {
  const text = metadata[MODEL_METADATA.goldenRows];
  if (text === undefined) return undefined;
  const golden = readJson(goldenRowsSchema, text, action);
  const refuse = (what: string) => {
    throw new AppError("unprocessable", `Cannot ${action}: its golden rows ${what}`);
  };
  const { rows, outputs } = golden;
  if (rows.length > MAX_GOLDEN_ROWS) refuse(`are ${rows.length}, and may be ${MAX_GOLDEN_ROWS}`);
  if (outputs.length !== rows.length) refuse(`are ${rows.length}, and their answers ${outputs.length}`);
  const [width, answers] = [signature.inputs.length, outputWidth(signature)];
  rows.forEach(({ length }, row) => {
    if (length !== width) refuse(`must each have ${width} values, and row ${row} has ${length}`);
  });
  outputs.forEach(({ length }, row) => {
    if (length !== answers) refuse(`must each have ${answers} answers, and row ${row} has ${length}`);
  });
  return golden;
}

function readJson<Schema extends z.ZodType>(schema: Schema, text: string, action: string): z.output<Schema> {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw invalid(`Cannot ${action}: its metadata is no JSON: ${messageOf(error)}`);
  }
  return parseWith(schema, value, action);
}

interface Trial {
  signature: Signature;
  golden: GoldenRows | undefined;
  shape: ModelShape;
  action: string;
}

/** Asks for the golden rows, and for a full run. */
async function tryOut(model: LoadedModel, { signature, golden, shape, action }: Trial): Promise<void> {
  if (golden !== undefined && golden.rows.length > 0) {
    const checker = createRowChecker(signature, { notFinite: "missing", unknown: "refuse" });
    const outputs = await model.predict(checker.matrix(golden.rows.flat(), golden.rows.length));
    golden.outputs.flat().forEach((recorded, index) => {
      const answered = outputs[index]!;
      // Negated, so that a NaN on either side fails too.
      if (!(Math.abs(answered - recorded) <= TOLERANCE * Math.max(1, Math.abs(recorded)))) {
        const row = Math.floor(index / shape.outputs);
        throw new AppError(
          "unprocessable",
          `Cannot ${action}: it answers ${answered} to golden row ${row}, and ${recorded} was recorded`,
        );
      }
    });
  }
  await model.predict(emptyRows(TRIAL_ROWS, shape));
}

const emptyRows = (rows: number, shape: ModelShape): ModelBatch => ({
  rows,
  numbers: new Float32Array(rows * shape.numbers),
  categories: new Array<string>(rows * shape.categories).fill(""),
});
