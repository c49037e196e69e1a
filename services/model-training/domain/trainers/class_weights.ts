import type { ParametersOf } from "shared/contracts/model_training.ts";
import type { Task } from "shared/contracts/signature.ts";
import { invalid } from "shared/errors.ts";
import { classNames } from "../classes.ts";
import type { Dataset } from "../dataset.ts";

/**
 * The weight of each class in the loss; of a regression a single 1. `balanced` gives every class the same weight in all,
 * and the rows a mean weight of 1.
 *
 * @throws {AppError} `invalid` for a weight of a class that there is not
 */
export function classWeights(
  train: Dataset,
  { task, wanted }: { task: Task; wanted: ParametersOf<"gbdt">["classWeights"] },
): Float64Array {
  const { labels } = train;
  const classes = classNames(train, task);
  if (classes === null) return Float64Array.of(1);
  const count = classes.length;
  const weights = new Float64Array(count).fill(1);
  if (wanted === "none") return weights;
  if (wanted === "balanced") {
    const rows = new Float64Array(count);
    for (const label of labels) rows[label] = rows[label]! + 1;
    return rows.map((own) => own === 0 ? 1 : labels.length / (count * own));
  }
  for (const [name, weight] of Object.entries(wanted)) {
    const number = classes.indexOf(name);
    if (number < 0) {
      throw invalid(`Cannot weigh the class "${name}": the classes are ${classes.join(", ")}`);
    }
    weights[number] = weight;
  }
  return weights;
}
