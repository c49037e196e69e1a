/** Searching for good parameters on rows that the model is not judged on. @module */
import type { ParameterRange, Parameters, Search, Trial } from "shared/contracts/model_training.ts";
import { durationToMs } from "shared/contracts/time.ts";
import { AppError, messageOf } from "shared/errors.ts";
import { Random } from "./random.ts";

/** Of the draws of a rung of successive halving, one in so many goes on, with as many times the rows. */
const ETA = 3;

export interface SearchContext {
  /** The first to be tried. */
  declared: Parameters;
  better: "higher" | "lower";
  /** Rows that a fit learns from at most. */
  rows: number;
  seed: number;
  /**
   * Mean of the metric over the folds.
   *
   * @param share of the rows to learn from
   * @throws {AppError} for parameters that nothing could be learnt with
   */
  judge(parameters: Parameters, share: number): Promise<number>;
  /** Told after each trial how many there have been, and how many there will be. */
  onTrial(trial: Trial, done: number, all: number): void;
  /** Milliseconds, for the budget. */
  now(): number;
}

/**
 * Tries parameters within the budget. Of equal ones the earlier wins, so that the declared parameters stay unless
 * something is better.
 *
 * @returns the best parameters that have seen all rows, and every trial
 * @throws {AppError} `unprocessable` when nothing could be learnt with any
 */
export async function searchParameters(
  search: Search,
  context: SearchContext,
): Promise<{ parameters: Parameters; trials: Trial[] }> {
  const draws = drawTrials(search, context);
  const rungs = search.method === "halving" ? rungsOf(draws.length) : [{ keeps: draws.length, share: 1 }];
  const all = rungs.reduce((sum, { keeps }) => sum + keeps, 0);
  const endsAt = search.budget.time === undefined
    ? Infinity
    : context.now() + durationToMs(search.budget.time);
  const trials: Trial[] = [];
  let field = draws;
  let best: Trial | undefined;
  for (const { keeps, share } of rungs) {
    const rung: Trial[] = [];
    for (const parameters of field.slice(0, keeps)) {
      if (context.now() >= endsAt) break;
      const trial = await tryOut(parameters, share, { context, number: trials.length + 1 });
      trials.push(trial);
      rung.push(trial);
      context.onTrial(trial, trials.length, all);
    }
    const ranked = rung.filter(({ value }) => value !== null).toSorted((one, other) =>
      context.better === "higher" ? other.value! - one.value! : one.value! - other.value!
    );
    // A rung that the budget cut short says less than the one before it.
    if (ranked.length > 0 && (best === undefined || rung.length === Math.min(keeps, field.length))) {
      best = ranked[0];
    }
    field = ranked.map(({ parameters }) => parameters);
  }
  if (best === undefined) {
    const reason = trials.find(({ error }) => error !== null)?.error ??
      "its time was over before the first trial";
    throw new AppError(
      "unprocessable",
      `Cannot search for parameters: none of ${trials.length} trials: ${reason}`,
    );
  }
  return { parameters: best.parameters, trials };
}

/** Successive halving: rungs with ever fewer draws and ever more rows, the last with all of them. */
function rungsOf(draws: number): { keeps: number; share: number }[] {
  const last = Math.floor(Math.log(draws) / Math.log(ETA) + 1e-9);
  return Array.from({ length: last + 1 }, (_, rung) => ({
    keeps: Math.max(1, Math.floor(draws / ETA ** rung)),
    share: ETA ** (rung - last),
  }));
}

async function tryOut(
  parameters: Parameters,
  share: number,
  { context, number }: { context: SearchContext; number: number },
): Promise<Trial> {
  const trial = { trial: number, parameters, rows: Math.ceil(context.rows * share) };
  try {
    return { ...trial, value: await context.judge(parameters, share), error: null };
  } catch (error) {
    // A draw that nothing can be learnt with is a bad draw, and no reason to give up the others.
    if (!(error instanceof AppError)) throw error;
    return { ...trial, value: null, error: messageOf(error) };
  }
}

function drawTrials({ space, budget }: Search, { declared, seed }: SearchContext): Parameters[] {
  const random = new Random(seed);
  const draws = [declared];
  while (draws.length < budget.trials) {
    const drawn = Object.entries(space).map(([name, range]) => [name, draw(range, random)] as const);
    draws.push({ ...declared, ...Object.fromEntries(drawn) });
  }
  return draws;
}

function draw(range: ParameterRange, random: Random): number | boolean | string {
  if ("values" in range) return range.values[random.below(range.values.length)]!;
  const { min, max, scale, integer } = range;
  const at = random.uniform();
  const value = scale === "log" ? Math.exp(Math.log(min) + at * Math.log(max / min)) : min + at * (max - min);
  return integer ? Math.min(max, Math.max(min, Math.round(value))) : value;
}
