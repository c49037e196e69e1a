/** What each feature contributes to each answer, in the answer's own unit. Pure. @module */
import type { explanationSchema } from "shared/contracts/model_serving.ts";
import type { z } from "zod";
import type { Explainer } from "shared/explain/explainer.ts";
import { type ModelBatch, rowsOf, shapeOf } from "shared/onnx/model_batch.ts";
import { inProbabilities, inProbability, type Parts } from "./probability.ts";

export type RowExplanation = z.infer<typeof explanationSchema>;

/** @param outputs what the model answered to the rows */
export function explainRows(
  explainer: Explainer,
  batch: ModelBatch,
  outputs: Float32Array,
): RowExplanation[] {
  const { signature } = explainer;
  const names = signature.inputs.map(({ name }) => name);
  const shape = shapeOf(signature);
  return Array.from(
    { length: batch.rows },
    (_, row) => {
      const alone = rowsOf(batch, { from: row, to: row + 1 }, shape);
      return explainRow(explainer, { batch: alone, names, outputs, row });
    },
  );
}

/** @param of the row alone, and what the model answered to all */
function explainRow(
  { signature, scale, explain }: Explainer,
  { batch, names, outputs, row }: {
    batch: ModelBatch;
    names: readonly string[];
    outputs: Float32Array;
    row: number;
  },
): RowExplanation {
  const { base, contributions } = explain(batch);
  const width = base.length;
  const answer = outputs.subarray(row * width, (row + 1) * width);
  const parts = names.map((_, feature) => [
    ...contributions.subarray(feature * width, (feature + 1) * width),
  ]);
  const told = <Value extends number | number[]>({ base, parts }: Parts<Value>) => ({
    base,
    contributions: Object.fromEntries(names.map((name, feature) => [name, parts[feature]!])),
  });
  if (scale === "log_scores" || scale === "scores") {
    const raw = { base: [...base], parts };
    const own = inProbabilities(raw, { scale, probabilities: answer });
    return { unit: "probability", ...told(own), raw: { unit: scale, ...told(raw) } };
  }
  const raw = { base: base[0]!, parts: parts.map(([part]) => part!) };
  if (scale === "log_odds") {
    return {
      unit: "probability",
      ...told(inProbability(raw, answer[0]!)),
      raw: { unit: scale, ...told(raw) },
    };
  }
  // A forest's probability is the mean of its trees': they add up as they are.
  return { unit: signature.output === "probability" ? "probability" : "value", ...told(raw) };
}
