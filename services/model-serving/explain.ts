/** Why a version answers as it does: what each feature contributes to each answer. @module */
import { setImmediate } from "node:timers";
import type { explanationSchema } from "shared/contracts/model_serving.ts";
import type { z } from "zod";
import { createExplainer, type Explainer } from "shared/explain/explainer.ts";
import { type ModelBatch, shapeOf } from "shared/onnx/model_batch.ts";
import { featureNames } from "./log_outcome.ts";
import { inProbabilities, inProbability, type Parts } from "./explain_probability.ts";
import type { Prediction } from "./predict_call.ts";
import type { ServedVersion } from "./runtime/admission.ts";

export type RowExplanation = z.infer<typeof explanationSchema>;

/**
 * One explanation for each row of an answer.
 *
 * @throws {AppError} `unprocessable` when the version that answered can't be explained
 */
export type Explain = (
  prediction: Pick<Prediction, "served" | "checked" | "outputs">,
) => Promise<RowExplanation[]>;

/** How long rows are explained before other calls have their turn: a thousand rows of many trees take a second. */
const TURN_MS = 5;

/** @param readFile the ONNX file by its SHA-256: a version in memory does not keep its own */
export function createExplain(readFile: (sha256: string) => Promise<Uint8Array>): Explain {
  const explainers = new WeakMap<ServedVersion, Promise<Explainer>>();

  function explainerOf(served: ServedVersion): Promise<Explainer> {
    let explainer = explainers.get(served);
    if (explainer === undefined) {
      explainer = readFile(served.entry.sha256).then(createExplainer);
      explainers.set(served, explainer);
      // What failed because the file store was away may be there the next time.
      explainer.catch(() => explainers.delete(served));
    }
    return explainer;
  }

  return async ({ served, checked, outputs }) => {
    const explainer = await explainerOf(served);
    const names = featureNames(served);
    const explanations: RowExplanation[] = [];
    let turnEnds = performance.now() + TURN_MS;
    for (let row = 0; row < checked.rows; row++) {
      if (performance.now() >= turnEnds) {
        await new Promise<void>((resolve) => setImmediate(resolve));
        turnEnds = performance.now() + TURN_MS;
      }
      explanations.push(
        explainRow(explainer, { batch: rowOf(checked, row, served), names, outputs, row }),
      );
    }
    return explanations;
  };
}

function rowOf({ numbers, categories }: ModelBatch, row: number, { signature }: ServedVersion): ModelBatch {
  const shape = shapeOf(signature);
  return {
    rows: 1,
    numbers: numbers.subarray(row * shape.numbers, (row + 1) * shape.numbers),
    categories: categories.slice(row * shape.categories, (row + 1) * shape.categories),
  };
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
