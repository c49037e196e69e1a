/** One fit of a cross-validation. @module */
import type { ModelBody } from "shared/contracts/model_training.ts";
import { numberClasses } from "./domain/classes.ts";
import { type Dataset, selectRows } from "./domain/dataset.ts";
import type { Fold } from "./domain/split_rows.ts";
import { trainerFor } from "./domain/trainers/registry.ts";

/**
 * Fits a model on one part of the rows and has it answer the other.
 *
 * @returns the answers beside the labels, both in the numbers of the classes that the fit knows
 * @throws {AppError} `invalid` or `unprocessable` for rows that nothing can be learnt from
 */
export async function answerFold(
  { algorithm, task, parameters, seed, quantile, positiveClass: positive }: ModelBody,
  { dataset, fold, threads }: { dataset: Dataset; fold: Fold; threads: number },
): Promise<{ labels: Float64Array; answers: Float64Array }> {
  // A fold may lack classes that the others have.
  const numbered = numberClasses(dataset, { task, train: fold.fit, positive });
  const model = await trainerFor(algorithm, task).fit(selectRows(numbered, fold.fit), {
    task,
    parameters,
    seed,
    quantile,
    threads,
  });
  const judged = selectRows(numbered, fold.judge);
  return { labels: judged.labels, answers: model.predict(judged) };
}
