/** What the file of a version says, as far as serving needs it. Pure. @module */
import type { AliasEntry } from "shared/contracts/model_training.ts";
import { goldenRowsSchema, MODEL_METADATA, signatureSchema } from "shared/contracts/signature.ts";
import { invalid, messageOf } from "shared/errors.ts";
import { admitModelFile } from "shared/onnx/admission.ts";
import { shapeOf } from "shared/onnx/model_batch.ts";
import { parseWith } from "shared/validation.ts";
import type { z } from "zod";
import { type GoldenBatch, goldenBatch, refuseOtherAnswers } from "./golden_rows.ts";
import { compileTrees, type TreeProgram } from "./tree_program.ts";
import { walkTrees } from "./tree_walker.ts";

/** Which version a file is to be. */
export type VersionName = Pick<AliasEntry, "model" | "version" | "signature">;

/** Plain data, which crosses the border of a thread. */
export interface VersionFile {
  golden: GoldenBatch | undefined;
  /** Where the file is nothing but trees, which answer their golden rows as recorded. */
  trees: TreeProgram | undefined;
}

export const admissionOf = ({ model, version }: VersionName): string => `admit ${model} v${version}`;

/**
 * @throws {AppError} `unprocessable` when the file's operators, its format or the answers of its trees are not accepted;
 * `invalid` when its signature is not the registry's; `too_large`
 */
export function readVersionFile(file: Uint8Array, name: VersionName): VersionFile {
  const { signature } = name;
  const action = admissionOf(name);
  const admitted = admitModelFile(file);
  const { metadata } = admitted.summary;
  const said = metadata[MODEL_METADATA.signature];
  if (said === undefined) throw invalid(`Cannot ${action}: the file says no "${MODEL_METADATA.signature}"`);
  if (JSON.stringify(readJson(signatureSchema, said, action)) !== JSON.stringify(signature)) {
    throw invalid(`Cannot ${action}: its signature is not the one in the registry`);
  }
  const recorded = metadata[MODEL_METADATA.goldenRows];
  const golden = recorded === undefined
    ? undefined
    : goldenBatch(readJson(goldenRowsSchema, recorded, action), signature, action);
  const shape = shapeOf(signature);
  const trees = compileTrees(admitted, shape);
  if (golden !== undefined && trees !== undefined) {
    refuseOtherAnswers(walkTrees(trees, shape)(golden.batch), golden, action);
  }
  return { golden, trees };
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
