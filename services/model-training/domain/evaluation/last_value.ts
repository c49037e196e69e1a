import type { Dataset } from "../dataset.ts";

/**
 * The baseline that needs no model: each row is given the label of its entity that was settled last at its T; where
 * there is none, the mean of the training labels, or of several classes their shares.
 *
 * @param history rows whose labels may be looked at, of all parts and between them: T + horizon must not lie after the T
 * of the row that is answered
 * @param options.fallback [outputs], for rows without a settled label
 * @returns [rows, outputs]
 */
export function lastValues(
  rows: Dataset,
  history: Dataset,
  { horizonMs, fallback }: { horizonMs: number; fallback: ArrayLike<number> },
): Float64Array {
  const settled = new Map<string, { time: number; label: number }[]>();
  history.entities.forEach((entity, row) => {
    const own = settled.get(entity) ?? [];
    own.push({ time: history.times[row]!, label: history.labels[row]! });
    settled.set(entity, own);
  });
  for (const own of settled.values()) own.sort((a, b) => a.time - b.time);
  const outputs = fallback.length;
  const answers = new Float64Array(rows.rows * outputs);
  rows.entities.forEach((entity, row) => {
    const own = settled.get(entity) ?? [];
    const border = rows.times[row]! - horizonMs;
    const last = own.findLast(({ time }) => time <= border && time < rows.times[row]!);
    for (let output = 0; output < outputs; output++) {
      answers[row * outputs + output] = last === undefined
        ? fallback[output]!
        : outputs === 1
        ? last.label
        : Number(last.label === output);
    }
  });
  return answers;
}
