/** One arm attempts a call: its version scores it, and what comes of that is logged. @module */
import type { CallContext } from "shared/contracts/endpoint.ts";
import type { DeploymentBody } from "shared/contracts/model_serving.ts";
import type { ErrorCode } from "shared/errors.ts";
import type { Explain } from "./explain/explain.ts";
import type { LiveModels } from "./live_models.ts";
import { codeOf, failureOf, loggedCall, type TakenCall, unservedCall } from "./log_outcome.ts";
import { type PredictCall, type Prediction, sizeOf } from "./predict_call.ts";
import { predictionIds } from "./prediction_id.ts";
import type { PredictionLog } from "./prediction_log/prediction_log.ts";
import { asksAlike } from "./routing/alike.ts";
import type { Arm, Place, Router } from "./routing/router.ts";
import type { ServedVersion } from "./runtime/admission.ts";
import { nothingScored, type Score, type Scored } from "./score.ts";
import { allFinite } from "./validation/all_finite.ts";

/** A call that is attempted. */
export interface Attempted {
  call: PredictCall;
  context: CallContext;
  deployment: DeploymentBody;
  router: Router;
  /** By `performance.now()`: when the call came, and when the arm was entered that attempts it now. */
  startedAt: number;
  enteredAt: number;
  /** Milliseconds since 1970. */
  servedAtMs: number;
}

export interface AttemptDeps {
  models: Pick<LiveModels, "lease" | "versions">;
  /** Whose model it is; null for one that is not deployed. */
  projectOf: (model: string) => string | null;
  score: Score;
  explain: Explain;
  log: Pick<PredictionLog, "append">;
  /** Told of every answer, to be compared with those of shadows. */
  answered: (call: PredictCall, prediction: Prediction, context: CallContext) => void;
  /** A place in the champion for a call that the arm failed to answer; logs that there is none. */
  enterChampion: (from: Arm, attempted: Attempted) => Place;
}

/** Gives the place back. Where the failure is the arm's alone, the champion is asked then. */
export type Attempt = (place: Place, attempted: Attempted) => Promise<Prediction>;

/** Failures that another arm would have answered alike. */
const CALLERS_MISTAKES: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  "invalid",
  "not_found",
  "too_large",
  "unsupported",
  "unprocessable",
]);

export function createAttempt(deps: AttemptDeps): Attempt {
  const { models, projectOf, score, explain, log, answered, enterChampion } = deps;

  return async function attempt(place, attempted) {
    const { call, context, deployment, startedAt, enteredAt, servedAtMs } = attempted;
    const scored = nothingScored();
    let lease: ReturnType<typeof models.lease> | undefined;
    let taken: TakenCall | undefined;
    try {
      lease = models.lease(call.model, place.arm.alias);
      const { served } = lease;
      const ids = predictionIds(sizeOf(call.question), servedAtMs);
      taken = { call, context, served, place, servedAtMs, ids, scored };
      const deadline = call.timeoutMs === undefined ? Infinity : startedAt + call.timeoutMs;
      await score(call, { served, deployment, context, deadline, into: scored });
      const prediction = toPrediction(taken);
      if (call.explain === true) {
        prediction.explanations = await explain(prediction, deadline);
        scored.endedAt = performance.now();
      }
      scored.times.totalMs = scored.endedAt - startedAt;
      place.done({ failed: false, ms: scored.endedAt - enteredAt });
      log.append(loggedCall(taken, undefined));
      answered(call, prediction, context);
      return prediction;
    } catch (error) {
      if (!fail(error, { place, attempted, taken, scored })) throw error;
    } finally {
      lease?.release();
    }
    const again = { ...attempted, enteredAt: performance.now() };
    return await attempt(enterChampion(place.arm, attempted), again);
  };

  /** Gives the place back, and logs the failure. @returns whether the champion is to be asked */
  function fail(
    error: unknown,
    { place, attempted, taken, scored }: {
      place: Place;
      attempted: Attempted;
      taken: TakenCall | undefined;
      scored: Scored;
    },
  ): boolean {
    const { call, context, startedAt, enteredAt, servedAtMs } = attempted;
    // An answer that is no number is the version's own failure, whatever it was asked.
    const isMistake = CALLERS_MISTAKES.has(codeOf(error)) &&
      (scored.outputs === undefined || allFinite(scored.outputs));
    // What fails before the rows are together is the features' or the caller's, which the arm has in common with the
    // champion unless it asks for other features.
    const isItsOwn = scored.checked !== undefined ? !isMistake : asksOtherwise(taken?.served, call.model);
    const fallsBack = isItsOwn && !place.arm.champion && call.version === undefined;
    const endedAt = performance.now();
    place.done(isItsOwn && !isMistake ? { failed: true, ms: endedAt - enteredAt } : undefined);
    if (!fallsBack && call.asksAgain?.(error) === true) return false;
    scored.times.totalMs = endedAt - startedAt;
    const project = projectOf(call.model);
    log.append(
      taken === undefined
        ? unservedCall({ call, project, context, arm: place.arm.name, startedAt, servedAtMs }, error)
        : loggedCall(taken, failureOf(error)),
    );
    return fallsBack;
  }

  /** Whether a version takes other features than the champion, or there is none to take any. */
  function asksOtherwise(version: ServedVersion | undefined, model: string): boolean {
    const [champion] = models.versions(model);
    if (version === undefined) return true;
    return champion !== undefined && !asksAlike(version.signature, champion.signature);
  }
}

function toPrediction({ call, served, place, servedAtMs, ids, scored }: TakenCall): Prediction {
  const { question, asOf } = call;
  const isEntities = "entities" in question;
  return {
    served,
    arm: place.arm.name,
    at: scored.read?.at ?? asOf ?? null,
    servedAtMs,
    ids,
    entities: isEntities ? question.entities : undefined,
    request: isEntities ? question.request : undefined,
    checked: scored.checked!,
    read: scored.read,
    outputs: scored.outputs!,
    times: scored.times,
  };
}
