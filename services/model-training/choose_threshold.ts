/** The threshold of a binary model, chosen on rows that it has not learnt from and is not judged on. @module */
import type { ErrorCosts, ModelBody } from "shared/contracts/model_training.ts";
import { durationToMs } from "shared/contracts/time.ts";
import { AppError } from "shared/errors.ts";
import { answerFold } from "./answer_fold.ts";
import type { Dataset } from "./domain/dataset.ts";
import { calibratedThreshold, cheapestThreshold } from "./domain/evaluation/decisions.ts";
import { scoreRows } from "./domain/evaluation/metrics.ts";
import { Random } from "./domain/random.ts";
import { foldRows } from "./domain/split_rows.ts";
import type { TrainingParts } from "./model_task.ts";

/** Rows that a threshold is chosen on by fits made for that: more would take long, and move it little. */
const FITTED_ROWS = 10_000;
const DEFAULT_FOLDS = 3;

export interface ChosenThreshold {
  threshold: number;
  /**
   * `validation`: that part. `folds`: rows of the training part, each answered by a fit without it. `costs`: there were
   * no such rows of both classes, so it is the one for probabilities that are right.
   */
  chosenOn: "validation" | "folds" | "costs";
}

/** Labels with answers of a model that has not learnt from them. */
export interface AnsweredRows {
  labels: Float64Array;
  answers: Float64Array;
}

/**
 * Of a model that can only be asked: on the validation part, where there is one.
 *
 * @param validation undefined where there is none
 */
export function chooseThreshold(costs: ErrorCosts, validation: AnsweredRows | undefined): ChosenThreshold {
  return cheapestOn(costs, validation, "validation") ?? byCosts(costs);
}

/**
 * Of a model that was fitted here: on the validation part, or by fits with its parameters on folds of the training part.
 *
 * @param parts of the model's run; `spec` with the parameters that it was fitted with
 */
export async function chooseFittedThreshold(
  parts: Pick<TrainingParts, "spec" | "dataset" | "split" | "validation">,
  { model, threads }: { model: { predict(dataset: Dataset): Float64Array }; threads: number },
): Promise<ChosenThreshold> {
  const { spec, validation } = parts;
  const { costs } = spec;
  if (validation !== undefined) {
    return chooseThreshold(costs, { labels: validation.labels, answers: model.predict(validation) });
  }
  return cheapestOn(costs, await answerFolds(parts, threads), "folds") ?? byCosts(costs);
}

const byCosts = (costs: ErrorCosts): ChosenThreshold => ({
  threshold: calibratedThreshold(costs),
  chosenOn: "costs",
});

/** Undefined where the rows are not of both classes. */
function cheapestOn(
  costs: ErrorCosts,
  rows: AnsweredRows | undefined,
  chosenOn: ChosenThreshold["chosenOn"],
): ChosenThreshold | undefined {
  if (rows === undefined || !rows.labels.includes(0) || !rows.labels.includes(1)) return undefined;
  return { threshold: cheapestThreshold(scoreRows(rows.labels, rows.answers), costs), chosenOn };
}

/** Undefined where the training part is too small, or too much of one class, to be divided. */
async function answerFolds(
  { spec, dataset, split }: { spec: ModelBody } & Pick<TrainingParts, "dataset" | "split">,
  threads: number,
): Promise<AnsweredRows | undefined> {
  const { train } = split;
  const { task, seed } = spec;
  const rows = train.length <= FITTED_ROWS
    ? train
    : new Random(seed).sample(train.length, FITTED_ROWS).map((index) => train[index]!);
  const answered: AnsweredRows[] = [];
  try {
    const folds = foldRows(dataset, rows, {
      by: spec.split.by,
      folds: spec.split.folds ?? DEFAULT_FOLDS,
      task,
      horizonMs: durationToMs(spec.label.within),
      seed,
    });
    for (const fold of folds) answered.push(await answerFold(spec, { dataset, fold, threads }));
  } catch (error) {
    if (error instanceof AppError && (error.code === "invalid" || error.code === "unprocessable")) {
      return undefined;
    }
    throw error;
  }
  return {
    labels: Float64Array.from(answered.flatMap(({ labels }) => [...labels])),
    answers: Float64Array.from(answered.flatMap(({ answers }) => [...answers])),
  };
}
