import type { ParametersOf } from "shared/contracts/model_training.ts";
import type { Task } from "shared/contracts/signature.ts";
import { invalid } from "shared/errors.ts";
import { countClasses } from "../dataset.ts";

/**
 * The weight of each class in the loss; of a regression a single 1. `balanced` gives every class the same weight in all,
 * and the rows a mean weight of 1.
 *
 * @param names of the classes, in the order of their numbers; default: the numbers
 * @throws {AppError} `invalid` for a weight of a class that there is not
 */
export function classWeights(
  labels: Float64Array,
  { task, names, wanted }: {
    task: Task;
    names?: readonly string[] | undefined;
    wanted: ParametersOf<"gbdt">["classWeights"];
  },
): Float64Array {
  if (task === "regression") return Float64Array.of(1);
  const count = Math.max(2, countClasses(labels));
  const weights = new Float64Array(count).fill(1);
  if (wanted === "none") return weights;
  if (wanted === "balanced") {
    const rows = new Float64Array(count);
    for (const label of labels) rows[label] = rows[label]! + 1;
    return rows.map((own) => own === 0 ? 1 : labels.length / (count * own));
  }
  const classes = names ?? Array.from({ length: count }, (_, number) => String(number));
  for (const [name, weight] of Object.entries(wanted)) {
    const number = classes.indexOf(name);
    if (number < 0) {
      throw invalid(`Cannot weigh the class "${name}": the classes are ${classes.join(", ")}`);
    }
    weights[number] = weight;
  }
  return weights;
}
