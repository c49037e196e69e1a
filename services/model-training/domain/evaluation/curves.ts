import type { Curves, ModelDetail } from "shared/contracts/model_training.ts";
import type { Task } from "shared/contracts/signature.ts";

/** Points of a curve at most, as many as a picture shows. */
const MAX_POINTS = 100;
/** Rows of a scatter plot. */
const MAX_ANSWERS = 200;

/**
 * The curves of a model over rows that it has not learnt from.
 *
 * @param outputs probabilities of the label 1, or values; of several classes no curve is drawn
 */
export function drawCurves(
  task: Task,
  labels: Float64Array,
  outputs: Float64Array,
): Omit<Curves, "importances" | keyof ModelDetail> {
  const none = { roc: [], precisionRecall: [], calibration: [], answers: [] };
  if (task === "regression") return { ...none, answers: sampleAnswers(labels, outputs) };
  if (task === "multiclass") return none;
  return { ...none, ...rankingCurves(labels, outputs), calibration: calibrationCurve(labels, outputs) };
}

/** Groups of a calibration curve, the customary ten (Niculescu-Mizil and Caruana, ICML 2005, section 2). */
const GROUPS = 10;

/** By groups of equal size and not of equal width: where there are no answers there is nothing to calibrate. */
function calibrationCurve(labels: Float64Array, outputs: Float64Array): Curves["calibration"] {
  const order = Int32Array.from(outputs, (_, row) => row).sort((a, b) => outputs[a]! - outputs[b]!);
  return Array.from({ length: GROUPS }, (_, group) => {
    const from = Math.floor(group * order.length / GROUPS);
    const rows = order.subarray(from, Math.floor((group + 1) * order.length / GROUPS));
    const mean = (values: Float64Array) => rows.reduce((sum, row) => sum + values[row]!, 0) / rows.length;
    return { rows: rows.length, predicted: within(mean(outputs)), observed: mean(labels) };
  }).filter(({ rows }) => rows > 0);
}

/** An imported model's float32 may be out by its grain. */
const within = (probability: number) => Math.min(1, Math.max(0, probability));

/** One point a distinct output, then as many of them as a picture shows, evenly. */
function rankingCurves(labels: Float64Array, outputs: Float64Array): Pick<Curves, "roc" | "precisionRecall"> {
  const order = Int32Array.from(outputs, (_, row) => row).sort((a, b) => outputs[b]! - outputs[a]!);
  const positives = labels.reduce((sum, label) => sum + label, 0);
  const negatives = labels.length - positives;
  const points: { threshold: number; truePositives: number; falsePositives: number }[] = [];
  let truePositives = 0;
  let falsePositives = 0;
  order.forEach((row, index) => {
    if (labels[row] === 1) truePositives++;
    else falsePositives++;
    const next = order[index + 1];
    if (next !== undefined && outputs[next] === outputs[row]) return;
    points.push({ threshold: outputs[row]!, truePositives, falsePositives });
  });
  const shown = thinned(points, MAX_POINTS);
  const share = (part: number, all: number) => all === 0 ? 0 : part / all;
  return {
    roc: [
      { threshold: null, falsePositiveRate: 0, truePositiveRate: 0 },
      ...shown.map((point) => ({
        threshold: point.threshold,
        falsePositiveRate: share(point.falsePositives, negatives),
        truePositiveRate: share(point.truePositives, positives),
      })),
    ],
    precisionRecall: shown.map((point) => ({
      threshold: point.threshold,
      precision: share(point.truePositives, point.truePositives + point.falsePositives),
      recall: share(point.truePositives, positives),
    })),
  };
}

function sampleAnswers(labels: Float64Array, outputs: Float64Array): Curves["answers"] {
  const rows = Array.from(labels, (_, row) => row);
  return thinned(rows, MAX_ANSWERS).map((row) => ({ actual: labels[row]!, predicted: outputs[row]! }));
}

/** The first, the last, and as many between them as there is room for. */
function thinned<Item>(items: readonly Item[], most: number): Item[] {
  if (items.length <= most) return [...items];
  return Array.from(
    { length: most },
    (_, index) => items[Math.round(index * (items.length - 1) / (most - 1))]!,
  );
}
