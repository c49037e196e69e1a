/** The rows that a file carries with their recorded answers: whoever serves it has to answer alike. @module */
import { type GoldenRows, outputWidth, type Signature } from "shared/contracts/signature.ts";
import { AppError } from "shared/errors.ts";
import type { ModelBatch } from "shared/onnx/model_batch.ts";
import { createRowChecker } from "../validation/row_checker.ts";

/** As they are asked for, with what was recorded of each output. */
export interface GoldenBatch {
  readonly batch: ModelBatch;
  readonly recorded: Float64Array;
}

/** Recorded rows that a file may carry: they are asked for in one run. */
const MAX_ROWS = 1_024;
/** By how much an answer may differ from the recorded one, as a part of it, or of 1 for smaller ones. */
const TOLERANCE = 1e-5;

/**
 * @returns `undefined` where there are none
 * @throws {AppError} `unprocessable` where they are not as wide or as many as the model's: they would prove nothing;
 * `invalid` where their values are none of the signature
 */
export function goldenBatch(
  { rows, outputs }: GoldenRows,
  signature: Signature,
  action: string,
): GoldenBatch | undefined {
  const refuse = (what: string) => {
    throw new AppError("unprocessable", `Cannot ${action}: its golden rows ${what}`);
  };
  if (rows.length > MAX_ROWS) refuse(`are ${rows.length}, and may be ${MAX_ROWS}`);
  if (outputs.length !== rows.length) refuse(`are ${rows.length}, and their answers ${outputs.length}`);
  const [width, answers] = [signature.inputs.length, outputWidth(signature)];
  rows.forEach(({ length }, row) => {
    if (length !== width) refuse(`must each have ${width} values, and row ${row} has ${length}`);
  });
  outputs.forEach(({ length }, row) => {
    if (length !== answers) refuse(`must each have ${answers} answers, and row ${row} has ${length}`);
  });
  if (rows.length === 0) return undefined;
  const checker = createRowChecker(signature, { notFinite: "missing", unknown: "refuse" });
  const { numbers, categories } = checker.matrix(rows.flat(), rows.length);
  return {
    // Of its own: a short list is a part of a buffer that others lie in.
    batch: { rows: rows.length, numbers: numbers.slice(), categories },
    recorded: Float64Array.from(outputs.flat()),
  };
}

/** @throws {AppError} `unprocessable` when an answer is not what was recorded */
export function refuseOtherAnswers(
  outputs: Float32Array,
  { batch, recorded }: GoldenBatch,
  action: string,
): void {
  recorded.forEach((value, index) => {
    const answered = outputs[index]!;
    // Negated, so that a NaN on either side fails too.
    if (!(Math.abs(answered - value) <= TOLERANCE * Math.max(1, Math.abs(value)))) {
      const row = Math.floor(index / (recorded.length / batch.rows));
      throw new AppError(
        "unprocessable",
        `Cannot ${action}: it answers ${answered} to golden row ${row}, and ${value} was recorded`,
      );
    }
  });
}
