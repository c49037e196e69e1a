/** The use case of the service: who answers, its answer, the log. @module */
import { v7 as uuidv7 } from "uuid";
import type { CallContext } from "shared/contracts/endpoint.ts";
import type { DeploymentBody } from "shared/contracts/model_serving.ts";
import { toInstant } from "shared/contracts/time.ts";
import { AppError, messageOf, notFound } from "shared/errors.ts";
import type { LiveModels } from "./live_models.ts";
import { type PredictCall, type Prediction, sizeOf } from "./predict_call.ts";
import type { LogEntry } from "./prediction_log/log_entry.ts";
import type { ServedVersion } from "./runtime/admission.ts";
import { nothingScored, type Score } from "./score.ts";
import type { CheckedRows } from "./validation/row_checker.ts";

export interface PredictDeps {
  models: LiveModels;
  /** The deployments in force, by model. */
  deployments: () => ReadonlyMap<string, DeploymentBody>;
  score: Score;
  appendToLog: (entries: readonly LogEntry[]) => void;
  now?: () => number;
}

export type Predict = (call: PredictCall, context: CallContext) => Promise<Prediction>;

export function createPredict(
  { models, deployments, score, appendToLog, now = Date.now }: PredictDeps,
): Predict {
  return async (call, context) => {
    const deployment = deployments().get(call.model);
    if (!deployment) {
      const known = [...deployments().keys()].join(", ") || "none is deployed";
      throw notFound(`Cannot predict with "${call.model}": it must be one of the deployed models: ${known}`);
    }
    const arm = { name: deployment.alias, alias: deployment.alias };
    return await models.use(call.model, arm.alias, async (served) => {
      if (call.version !== undefined && call.version !== served.entry.version) {
        throw notFound(
          `Cannot predict with "${call.model}" version ${call.version}: version ${served.entry.version} is served`,
        );
      }
      const startedAt = performance.now();
      const servedAt = toInstant(now());
      const ids = Array.from({ length: sizeOf(call.question) }, () => uuidv7());
      const scored = nothingScored();
      const entities = "entities" in call.question ? call.question.entities : undefined;

      const log = (outcome: (index: number) => Pick<LogEntry, "outcome" | "code" | "error" | "output">) => {
        const { checked, read, times } = scored;
        times.totalMs = performance.now() - startedAt;
        const logged = {
          project: served.entry.project,
          model: call.model,
          version: served.entry.version,
          arm: arm.name,
          assigned: null,
          rerouted: null,
          features: featureNames(served),
          featuresFrom: entities === undefined ? "request" as const : "store" as const,
          position: read?.position ?? null,
          at: read?.at ?? call.asOf ?? servedAt,
          servedAt,
          latencyMs: times.totalMs,
          traceparent: context.traceparent,
        };
        appendToLog(ids.map((id, row) => ({
          id,
          call: logged,
          ...outcome(row),
          entity: entities?.[row] ?? null,
          given: checked?.given,
          row,
          statuses: read?.statuses?.[row],
          marks: checked?.marks.get(row),
          shadowOf: null,
        })));
      };

      try {
        const deadline = call.timeoutMs === undefined ? Infinity : startedAt + call.timeoutMs;
        await score(call, { served, deployment, context, deadline, into: scored });
        const outputs = scored.outputs!;
        log((index) => ({
          outcome: "ok",
          code: null,
          error: null,
          output: outputs[index * served.model.outputWidth]!,
        }));
        return {
          served,
          arm: arm.name,
          at: scored.read?.at ?? call.asOf ?? null,
          ids,
          entities,
          checked: scored.checked!,
          statuses: scored.read?.statuses,
          outputs,
          times: scored.times,
        };
      } catch (error) {
        const code = error instanceof AppError ? error.code : "internal";
        log(() => ({ outcome: "error", code, error: messageOf(error), output: null }));
        throw error;
      }
    });
  };
}

/** The names of a version's features: one list for all of its calls. */
const names = new WeakMap<ServedVersion, readonly string[]>();

function featureNames(served: ServedVersion): readonly string[] {
  let list = names.get(served);
  if (list === undefined) names.set(served, list = served.signature.inputs.map(({ name }) => name));
  return list;
}

/** The features of a row by name, as they were given. */
export function featuresOf(names: readonly string[], { given }: CheckedRows, row: number) {
  return Object.fromEntries(names.map((name, column) => [name, given[row * names.length + column] ?? null]));
}
