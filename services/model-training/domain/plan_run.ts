import type { Metric, ModelBody } from "shared/contracts/model_training.ts";
import type { Task } from "shared/contracts/signature.ts";
import { durationToMs } from "shared/contracts/time.ts";
import { invalid, type Reason } from "shared/errors.ts";
import { METRICS } from "./evaluation/metrics.ts";
import { plainParameters, resolveParameters } from "./trainers/parameters.ts";
import { trainerFor, TRAINERS } from "./trainers/registry.ts";

/** What one run replaces of its model's definition. */
export interface RunOverrides {
  algorithm?: ModelBody["algorithm"] | undefined;
  /** All of them: those that are not named take the algorithm's defaults. */
  parameters?: ModelBody["parameters"] | undefined;
  seed?: number | undefined;
}

/**
 * What a run trains: the definition with what the run replaces, and every parameter of the algorithm written out, so
 * that the run can be read, and repeated, when the defaults have changed. A run of another algorithm than the
 * definition's starts from that algorithm's defaults.
 *
 * The parameters of an algorithm that the service has no trainer for are for the trainer that answers to it to judge.
 *
 * @throws {AppError} `invalid` for what no run could be trained with: an algorithm that can't do the task, parameters
 * that are unknown or out of range, a metric of another task, a length of zero
 */
export function planRun(name: string, body: ModelBody, overrides: RunOverrides = {}): ModelBody {
  const algorithm = overrides.algorithm ?? body.algorithm;
  const given = overrides.parameters ?? (algorithm === body.algorithm ? body.parameters : {});
  const reasons = [...wrongMetric(body), ...wrongQuantile({ ...body, algorithm }), ...emptyLengths(body)];
  if (reasons.length > 0) {
    const { path, message } = reasons[0]!;
    throw invalid(`Cannot train the model "${name}": ${path} ${message}`, reasons);
  }
  return {
    ...body,
    algorithm,
    parameters: planParameters({ ...body, algorithm, parameters: given }),
    seed: overrides.seed ?? body.seed,
  };
}

function planParameters(body: ModelBody): ModelBody["parameters"] {
  const { algorithm, task, parameters, search } = body;
  if (!TRAINERS.has(algorithm)) {
    if (search === undefined && body.split.folds === undefined) return parameters;
    throw invalid(
      `Cannot search for parameters of "${algorithm}": only the service's own algorithms, ` +
        `${[...TRAINERS.keys()].join(", ")}, can be searched and cross-validated here`,
    );
  }
  const { parameters: specs } = trainerFor(algorithm, task);
  // Both ends of each range are parameters that a draw may have.
  for (const [name, range] of Object.entries(search?.space ?? {})) {
    const ends = "values" in range ? range.values : [range.min, range.max];
    for (const value of ends) resolveParameters(algorithm, specs, { ...parameters, [name]: value });
    if ("values" in range || range.integer) continue;
    // Draws that no fit takes would be tried, and fail, one after the other.
    if (!specs.safeParse({ ...parameters, [name]: betweenWhole(range) }).success) {
      throw invalid(
        `Cannot search for parameters of ${algorithm}: ${name} is a whole number, its range must say "integer": true`,
        [{ path: `/search/space/${name}/integer`, message: "is false: it must be true for a whole number" }],
      );
    }
  }
  const planned = plainParameters(resolveParameters(algorithm, specs, parameters));
  const reasons = withoutEffect(task, { ...planned, ...search?.space });
  if (reasons.length > 0) {
    const { path, message } = reasons[0]!;
    throw invalid(`Cannot use the parameters of ${algorithm}: ${path.slice(1)} ${message}`, reasons);
  }
  return planned;
}

/** A number of a range that is not whole. */
function betweenWhole({ min, max }: { min: number; max: number }): number {
  const middle = (min + max) / 2;
  return Number.isInteger(middle) ? middle + Math.min(0.5, (max - min) / 4) : middle;
}

/** Parameters that say nothing to the task. */
function withoutEffect(task: Task, parameters: Readonly<Record<string, unknown>>): Reason[] {
  const { classWeights = "none", monotone = {} } = parameters;
  const reasons: Reason[] = [];
  if (task === "regression" && classWeights !== "none") {
    reasons.push({ path: "/classWeights", message: "weigh classes: a regression has none" });
  }
  if (task === "multiclass" && Object.keys(monotone as object).length > 0) {
    reasons.push({
      path: "/monotone",
      message: "has no meaning for several classes: their order is no scale",
    });
  }
  return reasons;
}

function wrongMetric({ task, metric }: ModelBody): Reason[] {
  if (METRICS[metric].tasks.includes(task)) return [];
  const fitting = (Object.keys(METRICS) as Metric[]).filter((name) => METRICS[name].tasks.includes(task));
  return [{
    path: "/metric",
    message: `is ${metric}: the metric of a ${task} task must be one of ${fitting.join(", ")}`,
  }];
}

function wrongQuantile({ task, quantile, algorithm }: ModelBody): Reason[] {
  if (quantile === undefined) return [];
  const refuse = (
    message: string,
  ): Reason[] => [{ path: "/quantile", message: `is ${quantile}: ${message}` }];
  if (task !== "regression") return refuse("only a regression can answer a quantile");
  if (TRAINERS.get(algorithm)?.answersQuantiles !== false) return [];
  const able = [...TRAINERS.values()].filter(({ answersQuantiles }) => answersQuantiles);
  return refuse(
    `${algorithm} answers the mean; quantiles are answered by ${
      able.map(({ algorithm }) => algorithm).join(", ")
    }`,
  );
}

function emptyLengths({ label, split, search }: ModelBody): Reason[] {
  const lengths = {
    "/label/within": label.within,
    "/search/budget/time": search?.budget.time,
    ...(split.by === "time" ? { "/split/test": split.test, "/split/validation": split.validation } : {}),
  };
  return Object.entries(lengths)
    .filter(([, duration]) => duration !== undefined && durationToMs(duration) === 0)
    .map(([path, duration]) => ({ path, message: `is ${duration}: it must be longer than nothing` }));
}
