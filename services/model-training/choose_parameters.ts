/** The parameters that a run fits its model with: those declared, or the best that a search finds. @module */
import type { ModelBody, Parameters, Trial } from "shared/contracts/model_training.ts";
import { durationToMs } from "shared/contracts/time.ts";
import { answerFold } from "./answer_fold.ts";
import type { Dataset } from "./domain/dataset.ts";
import { METRICS, metricValue, scoreRows } from "./domain/evaluation/metrics.ts";
import { Random } from "./domain/random.ts";
import { searchParameters } from "./domain/search.ts";
import { type Fold, foldRows } from "./domain/split_rows.ts";

const DEFAULT_FOLDS = 3;
/** A fit on fewer rows says nothing of the parameters. */
const MIN_ROWS = 50;

export interface Chosen {
  parameters: Parameters;
  /** Empty where nothing was tried. */
  trials: Trial[];
}

/**
 * Judges parameters on the folds of the given rows, which the test part is no part of. Without a search, the declared
 * ones alone, where the split asks for folds.
 *
 * @param rows those that are neither test nor validation part
 * @throws {AppError} `invalid` where a fold would be empty; `unprocessable` when nothing could be learnt
 */
export async function chooseParameters(
  spec: ModelBody,
  { dataset, rows, threads }: { dataset: Dataset; rows: Int32Array; threads: number },
  onTrial: (trial: Trial, done: number, all: number) => void,
): Promise<Chosen> {
  const { search, split, metric, seed, parameters: declared } = spec;
  if (search === undefined && split.folds === undefined) return { parameters: declared, trials: [] };
  const folds = foldRows(dataset, rows, {
    by: split.by,
    folds: split.folds ?? DEFAULT_FOLDS,
    task: spec.task,
    horizonMs: durationToMs(spec.label.within),
    seed,
  });
  const judge = (parameters: Parameters, share: number) =>
    crossValidate({ ...spec, parameters }, { dataset, folds, share, threads });
  if (search === undefined) {
    const value = await judge(declared, 1);
    const trial: Trial = { trial: 1, parameters: declared, rows: mostRows(folds), value, error: null };
    onTrial(trial, 1, 1);
    return { parameters: declared, trials: [trial] };
  }
  return await searchParameters(search, {
    declared,
    better: METRICS[metric].better,
    rows: mostRows(folds),
    seed,
    judge,
    onTrial,
    now: () => performance.now(),
  });
}

const mostRows = (folds: readonly Fold[]) => Math.max(...folds.map(({ fit }) => fit.length));

/** Mean of the metric over the folds, each by a fit on a share of its rows. */
async function crossValidate(
  spec: ModelBody,
  { dataset, folds, share, threads }: {
    dataset: Dataset;
    folds: readonly Fold[];
    share: number;
    threads: number;
  },
): Promise<number> {
  const { metric, seed, quantile } = spec;
  let sum = 0;
  for (const { fit, judge } of folds) {
    const fold = { fit: sampled(fit, share, seed), judge };
    const { labels, answers } = await answerFold(spec, { dataset, fold, threads });
    sum += metricValue(metric, scoreRows(labels, answers, quantile));
  }
  return sum / folds.length;
}

function sampled(rows: Int32Array, share: number, seed: number): Int32Array {
  const count = Math.min(rows.length, Math.max(MIN_ROWS, Math.ceil(rows.length * share)));
  if (count === rows.length) return rows;
  return new Random(seed).sample(rows.length, count).map((index) => rows[index]!);
}
