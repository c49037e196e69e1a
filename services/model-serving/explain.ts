/** Why a version answers as it does: what each feature contributes to each answer. @module */
import type { explanationSchema } from "shared/contracts/model_serving.ts";
import type { z } from "zod";
import { createExplainer, type Explainer } from "shared/explain/explainer.ts";
import { featureNames } from "./log_outcome.ts";
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
    const { scale, explain } = await explainerOf(served);
    const { base, contributions } = explain(checked);
    const names = featureNames(served);
    const width = base.length;
    return Array.from({ length: checked.rows }, (_, row) => {
      const parts = names.map((_, feature) => {
        const at = (row * names.length + feature) * width;
        return [...contributions.subarray(at, at + width)];
      });
      if (width > 1) return { unit: scale, base: [...base], contributions: byName(names, parts) };
      const raw = { base: base[0]!, parts: parts.map(([part]) => part!) };
      if (scale !== "log_odds") {
        return { unit: scale, base: raw.base, contributions: byName(names, raw.parts) };
      }
      const probability = inProbability(raw, outputs[row]!);
      return {
        unit: "probability" as const,
        base: probability.base,
        contributions: byName(names, probability.parts),
        logOdds: { base: raw.base, contributions: byName(names, raw.parts) },
      };
    });
  };
}

const byName = <Value>(names: readonly string[], values: readonly Value[]): Record<string, Value> =>
  Object.fromEntries(names.map((name, index) => [name, values[index]!]));

/**
 * Contributions to log odds as contributions to the probability: each by the slope of the logistic curve between the base
 * and the answer, so that they add up to the answer (the rescale rule of DeepLIFT: Shrikumar et al., 2017, section 3.5.1).
 */
function inProbability(
  { base, parts }: { base: number; parts: readonly number[] },
  probability: number,
): { base: number; parts: number[] } {
  const sum = parts.reduce((total, part) => total + part, 0);
  const from = 1 / (1 + Math.exp(-base));
  const slope = Math.abs(sum) < 1e-9 ? from * (1 - from) : (probability - from) / sum;
  return { base: from, parts: parts.map((part) => part * slope) };
}
