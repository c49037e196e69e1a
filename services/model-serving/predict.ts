/** The use case of the service: who answers a call, and who does instead. @module */
import type { CallContext } from "shared/contracts/endpoint.ts";
import type { DeploymentBody, Reroute } from "shared/contracts/model_serving.ts";
import { nameSchema } from "shared/contracts/names.ts";
import { type AppError, type ErrorCode, notFound, unavailable } from "shared/errors.ts";
import { type Attempted, createAttempt } from "./attempt.ts";
import { inTheCall, partOf } from "./call_parts.ts";
import type { Explain } from "./explain/explain.ts";
import type { LiveModels } from "./live_models.ts";
import { codeOf, unservedCall } from "./log_outcome.ts";
import { type PredictCall, type Prediction, sizeOf } from "./predict_call.ts";
import type { PredictionLog } from "./prediction_log/prediction_log.ts";
import { assignCall, type Assigned } from "./routing/assign_call.ts";
import type { Arm, Place, Router } from "./routing/router.ts";
import type { Routers } from "./routing/routers.ts";
import type { Score } from "./score.ts";

export interface PredictDeps {
  models: LiveModels;
  /** The deployments in force, by model. */
  deployments: () => ReadonlyMap<string, DeploymentBody>;
  /** Whose model it is; null for one that is not deployed. */
  projectOf: (model: string) => string | null;
  routers: Routers;
  score: Score;
  explain: Explain;
  log: Pick<PredictionLog, "append" | "checkRoom">;
  /** Told of every refusal that the log has no place for, since the call names no model. */
  unattributed?: (code: ErrorCode) => void;
  /** Told of every answer, to be compared with those of shadows. */
  answered?: (call: PredictCall, prediction: Prediction, context: CallContext) => void;
  now?: () => number;
}

/** Rows of a call that one arm answered. */
export interface PredictionPart {
  prediction: Prediction;
  /** Which rows of the call they are; `undefined` when all. */
  positions: readonly number[] | undefined;
}

export interface Predict {
  /** One arm answers the whole call. */
  (call: PredictCall, context: CallContext): Promise<Prediction>;
  /** Entities that are assigned one by one may have several arms answer them. */
  parts(call: PredictCall, context: CallContext): Promise<PredictionPart[]>;
  /** Logs a call that never became one, as its request could not be read; counts it where it names no model. */
  refused(model: unknown, error: unknown, context: CallContext): void;
}

export function createPredict(deps: PredictDeps): Predict {
  const { models, deployments, projectOf, routers, log, now = Date.now, unattributed = () => {} } = deps;
  const { score, explain, answered = () => {} } = deps;
  const attempt = createAttempt({ models, projectOf, score, explain, log, answered, enterChampion });

  async function parts(call: PredictCall, context: CallContext): Promise<PredictionPart[]> {
    const startedAt = performance.now();
    const servedAtMs = now();
    const begun = begin(call, context, { startedAt, servedAtMs });
    const { deployment, router, assigned } = begun;
    const attempted = { call, context, deployment, router, startedAt, enteredAt: startedAt, servedAtMs };
    const [only] = assigned;
    if (assigned.length === 1) {
      return [{ prediction: await answer(only!.arm, attempted), positions: undefined }];
    }
    return await answerInParts(assigned, attempted);
  }

  /** Answered whole or not at all: no part's outcome is lost, and the first failure is the call's. */
  async function answerInParts(
    assigned: readonly Assigned[],
    attempted: Attempted,
  ): Promise<PredictionPart[]> {
    const answers = await Promise.allSettled(
      assigned.map(async ({ arm, positions }) =>
        await answer(arm, { ...attempted, call: partOf(attempted.call, positions!) })
      ),
    );
    return answers.map((one, index) => {
      const { positions } = assigned[index]!;
      if (one.status === "rejected") throw inTheCall(one.reason, positions!);
      return { prediction: one.value, positions };
    });
  }

  /** Finds out who is to answer. What fails here is logged without a version. */
  function begin(
    call: PredictCall,
    context: CallContext,
    times: Pick<Attempted, "startedAt" | "servedAtMs">,
  ) {
    const deployment = deployments().get(call.model);
    const router = routers.of(call.model);
    try {
      if (deployment === undefined || router === undefined) {
        const known = [...deployments().keys()].join(", ") || "none is deployed";
        throw notFound(
          `Cannot predict with "${call.model}": it must be one of the deployed models: ${known}`,
        );
      }
      log.checkRoom(call.model, sizeOf(call.question));
      const assigned = call.version === undefined
        ? assignCall(call, deployment.sticky, router)
        : [{ arm: armOfVersion(call.model, call.version, router), positions: undefined }];
      return { deployment, router, assigned };
    } catch (error) {
      logFailure(call, error, { context, ...times });
      throw error;
    }
  }

  function armOfVersion(model: string, version: number, router: Router): Arm {
    const arm = router.arms.find(({ alias }) => models.versionOf(model, alias) === version);
    if (arm !== undefined) return arm;
    const served = router.arms.flatMap(({ alias }) => models.versionOf(model, alias) ?? []);
    throw notFound(
      `Cannot predict with "${model}" version ${version}: it must be one of those served: ${
        served.join(", ")
      }`,
    );
  }

  /**
   * The assigned arm answers; where it fails, and the champion need not fail as well, the champion does. Nobody stands in
   * for a version that is asked for.
   */
  function answer(arm: Arm, attempted: Attempted): Promise<Prediction> {
    const { call, router } = attempted;
    let place: Place;
    try {
      place = router.enter(arm, sizeOf(call.question));
      if (call.version !== undefined && place.arm !== arm) throw notNow(call, place);
    } catch (error) {
      logFailure(call, error, attempted, arm.name);
      throw error;
    }
    return attempt(place, attempted);
  }

  /** For what is left of a call that its arm failed to answer; that there is no room is an outcome of its own. */
  function enterChampion(from: Arm, attempted: Attempted): Place {
    const { call, router } = attempted;
    try {
      return router.fallBack(from, sizeOf(call.question));
    } catch (error) {
      logFailure(call, error, attempted, router.champion.name);
      throw error;
    }
  }

  function logFailure(
    call: Pick<PredictCall, "model" | "asOf" | "asksAgain">,
    error: unknown,
    { context, startedAt, servedAtMs }: Pick<Attempted, "context" | "startedAt" | "servedAtMs">,
    arm: string | null = null,
  ): void {
    if (call.asksAgain?.(error) === true) return;
    const project = projectOf(call.model);
    log.append(unservedCall({ call, project, context, arm, startedAt, servedAtMs }, error));
  }

  return Object.assign(
    async (call: PredictCall, context: CallContext) => {
      const [first] = await parts(call, context);
      return first!.prediction;
    },
    {
      parts,
      refused(named: unknown, error: unknown, context: CallContext) {
        const { success, data: model } = nameSchema.safeParse(named);
        if (!success) return unattributed(codeOf(error));
        logFailure({ model }, error, { context, startedAt: performance.now(), servedAtMs: now() });
      },
    },
  );
}

/** Gives a place back that only another version has. */
function notNow({ model, version }: PredictCall, place: Place): AppError {
  place.done(undefined);
  const why = REROUTES[place.rerouted!];
  return unavailable(`Cannot predict with "${model}" version ${version}: ${why}`, { retryAfter: 1 });
}

const REROUTES: Readonly<Record<Reroute, string>> = {
  no_version: "it may not stand in for the champion",
  limit: "its arm is at its limit",
  breaker: "the circuit breaker of its arm is open",
  error: "it failed",
};
