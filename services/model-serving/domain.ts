/** Checking what comes in by a model's signature, and laying it out for the model. Pure. @module */
import type { FeatureValue } from "shared/contracts/feature_store.ts";
import type { Signature } from "shared/contracts/signature.ts";
import { invalidInput } from "shared/validation.ts";
import type { Reason } from "shared/errors.ts";

/** The features of one row, by their name `view.feature`. */
export type FeatureRow = Readonly<Record<string, FeatureValue | undefined>>;

/** Rows as the model takes them: float32, row after row; what is missing is NaN. */
export interface Tensor {
  values: Float32Array;
  rows: number;
}

/**
 * Lays rows out in the signature's order.
 *
 * A missing or null feature is NaN where the signature says `as_trained`, and a mistake where it says `refuse`. What is
 * no finite float32 (1e39 is not), what is no number, and names that the model does not know are mistakes.
 *
 * @throws {AppError} `invalid`, with a reason for every mistake in every row
 */
export function toTensor(signature: Signature, rows: readonly FeatureRow[]): Tensor {
  const { inputs } = signature;
  const values = new Float32Array(rows.length * inputs.length);
  const known = new Set<string>(inputs.map(({ name }) => name));
  const reasons: Reason[] = [];
  rows.forEach((row, index) => {
    for (const name of Object.keys(row)) {
      if (!known.has(name)) {
        reasons.push({ path: `/rows/${index}/${name}`, message: "is not a feature of the model" });
      }
    }
    inputs.forEach(({ name, nulls }, column) => {
      const value = row[name];
      const at = index * inputs.length + column;
      if (value === null || value === undefined) {
        values[at] = NaN;
        if (nulls === "refuse") reasons.push({ path: `/rows/${index}/${name}`, message: "is missing" });
        return;
      }
      const number = typeof value === "boolean" ? Number(value) : value;
      values[at] = Number(number);
      if (typeof number !== "number" || !Number.isFinite(values[at])) {
        reasons.push({
          path: `/rows/${index}/${name}`,
          message: `must be a number within float32, not ${JSON.stringify(value)}`,
        });
      }
    });
  });
  if (reasons.length > 0) throw invalidInput("predict", reasons);
  return { values, rows: rows.length };
}

/** The rows that a feature read of the same names gave. */
export function toRows(
  names: readonly string[],
  read: readonly { values: readonly FeatureValue[] }[],
): FeatureRow[] {
  return read.map(({ values }) =>
    Object.fromEntries(names.map((name, index) => [name, values[index] ?? null]))
  );
}
