import type { Metric, ModelBody } from "shared/contracts/model_training.ts";
import { durationToMs } from "shared/contracts/time.ts";
import { invalid, type Reason } from "shared/errors.ts";
import { METRICS } from "./evaluation/metrics.ts";
import { plainParameters, resolveParameters } from "./trainers/parameters.ts";
import { trainerFor } from "./trainers/registry.ts";

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
 * @throws {AppError} `invalid` for what no run could be trained with: an algorithm that can't do the task, parameters
 * that are unknown or out of range, a metric of another task, a length of zero
 */
export function planRun(name: string, body: ModelBody, overrides: RunOverrides = {}): ModelBody {
  const algorithm = overrides.algorithm ?? body.algorithm;
  const given = overrides.parameters ?? (algorithm === body.algorithm ? body.parameters : {});
  const trainer = trainerFor(algorithm, body.task);
  const reasons = [...wrongMetric(body), ...emptyLengths(body)];
  if (reasons.length > 0) {
    const { path, message } = reasons[0]!;
    throw invalid(`Cannot train the model "${name}": ${path} ${message}`, reasons);
  }
  return {
    ...body,
    algorithm,
    parameters: plainParameters(resolveParameters(algorithm, trainer.parameters, given)),
    seed: overrides.seed ?? body.seed,
  };
}

function wrongMetric({ task, metric }: ModelBody): Reason[] {
  if (METRICS[metric].tasks.includes(task)) return [];
  const fitting = (Object.keys(METRICS) as Metric[]).filter((name) => METRICS[name].tasks.includes(task));
  return [{
    path: "/metric",
    message: `is ${metric}: the metric of a ${task} task must be one of ${fitting.join(", ")}`,
  }];
}

function emptyLengths({ label, split }: ModelBody): Reason[] {
  const lengths = { "/label/within": label.within, "/split/test": split.test };
  return Object.entries(lengths)
    .filter(([, duration]) => durationToMs(duration) === 0)
    .map(([path, duration]) => ({ path, message: `is ${duration}: it must be longer than nothing` }));
}
