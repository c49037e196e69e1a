import type { Metric } from "shared/contracts/model_training.ts";
import { type Dataset, floats } from "../dataset.ts";
import { Random } from "../random.ts";
import { METRICS, metricValue, scoreRows } from "./metrics.ts";

/**
 * By how much the metric becomes worse when the values of one feature are dealt to other rows: what the model owes to
 * the feature on these rows (Breiman, "Random forests", 2001; Fisher, Rudin and Dominici, "All models are wrong, but
 * many are useful", 2019). In the metric's unit, about 0 for a feature it does not use. The same seed deals alike.
 *
 * @returns by feature
 * @throws {AppError} `invalid` where the metric is not defined on the rows
 */
export async function permutationImportance(
  dataset: Dataset,
  predict: (dataset: Dataset) => Float64Array | Promise<Float64Array>,
  { metric, seed, quantile }: { metric: Metric; seed: number; quantile?: number | undefined },
): Promise<Float64Array> {
  const valueOf = async (rows: Dataset) =>
    metricValue(metric, scoreRows(rows.labels, await predict(rows), quantile));
  const whole = await valueOf(dataset);
  const sign = METRICS[metric].better === "higher" ? 1 : -1;
  const dealt = shuffled(dataset.rows, new Random(seed));
  const losses = new Float64Array(dataset.columns.length);
  for (const [feature, column] of dataset.columns.entries()) {
    const changed = floats(dataset.rows, (row) => column[dealt[row]!]!);
    const value = await valueOf({ ...dataset, columns: dataset.columns.with(feature, changed) });
    losses[feature] = sign * (whole - value);
  }
  return losses;
}

/** Row numbers in random order (Fisher and Yates; Knuth, volume 2, 3.4.2, algorithm P). */
function shuffled(rows: number, random: Random): Int32Array {
  const order = Int32Array.from({ length: rows }, (_, row) => row);
  for (let last = rows - 1; last > 0; last--) {
    const other = random.below(last + 1);
    [order[last], order[other]] = [order[other]!, order[last]!];
  }
  return order;
}
