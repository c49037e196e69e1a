/** The use case of the service: who answers, its answer, the log. @module */
import type { CallContext } from "shared/contracts/endpoint.ts";
import type { DeploymentBody, Reroute } from "shared/contracts/model_serving.ts";
import { nameSchema } from "shared/contracts/names.ts";
import { toInstant } from "shared/contracts/time.ts";
import { AppError, type ErrorCode, messageOf, notFound, unavailable } from "shared/errors.ts";
import type { Explain } from "./explain.ts";
import type { LiveModels } from "./live_models.ts";
import { type PredictCall, type Prediction, sizeOf } from "./predict_call.ts";
import { failureOf, loggedCall, type Outcome, outcomeOf } from "./log_outcome.ts";
import type { LogEntry, LoggedCall } from "./prediction_log/log_entry.ts";
import type { PredictionLog } from "./prediction_log/prediction_log.ts";
import { asksAlike } from "./routing/alike.ts";
import { assignCall } from "./routing/assign_call.ts";
import type { Arm, Place, Router } from "./routing/router.ts";
import type { Routers } from "./routing/routers.ts";
import type { ServedVersion } from "./runtime/admission.ts";
import { predictionId } from "./prediction_id.ts";
import { nothingScored, type Score, type Scored } from "./score.ts";
import type { CheckedRows } from "./validation/row_checker.ts";

export interface PredictDeps {
  models: LiveModels;
  /** The deployments in force, by model. */
  deployments: () => ReadonlyMap<string, DeploymentBody>;
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

/** What is the same for all attempts at a call. */
interface Attempted {
  call: PredictCall;
  context: CallContext;
  deployment: DeploymentBody;
  startedAt: number;
  servedAt: string;
}

export function createPredict(deps: PredictDeps): Predict {
  const { models, deployments, routers, score, explain, log, now = Date.now } = deps;
  const { answered = () => {}, unattributed = () => {} } = deps;

  async function parts(call: PredictCall, context: CallContext): Promise<PredictionPart[]> {
    const startedAt = performance.now();
    const servedAt = toInstant(now());
    const begun = begin(call, context, { startedAt, servedAt });
    const { deployment, router, assigned } = begun;
    const attempted = { call, context, deployment, startedAt, servedAt };
    const [only] = assigned;
    if (assigned.length === 1) {
      return [{ prediction: await answer(only!.arm, router, attempted), positions: undefined }];
    }
    // Answered whole or not at all: no part's outcome is lost, and the first failure is the call's.
    const answers = await Promise.allSettled(
      assigned.map(({ arm, positions }) =>
        answer(arm, router, { ...attempted, call: partOf(call, positions!) })
      ),
    );
    return answers.map((one, index) => {
      const { positions } = assigned[index]!;
      if (one.status === "rejected") throw inTheCall(one.reason, positions!);
      return { prediction: one.value, positions };
    });
  }

  /** Finds out who is to answer. What fails here is logged without a version. */
  function begin(call: PredictCall, context: CallContext, times: { startedAt: number; servedAt: string }) {
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
  async function answer(arm: Arm, router: Router, attempted: Attempted): Promise<Prediction> {
    const { call, context, startedAt, servedAt } = attempted;
    const rows = sizeOf(call.question);
    let place: Place;
    try {
      place = router.enter(arm, rows);
      if (call.version !== undefined && place.arm !== arm) throw notNow(call, place);
    } catch (error) {
      logFailure(call, error, { context, startedAt, servedAt, arm: arm.name });
      throw error;
    }
    const failure = { ofArm: false };
    try {
      return await attempt(place, attempted, failure);
    } catch (error) {
      if (!failure.ofArm || place.arm.champion || call.version !== undefined) throw error;
      return await attempt(router.fallBack(place.arm, rows), attempted, failure);
    }
  }

  /** @param failure is told whether it is the arm's: the champion may answer what the arm can't */
  async function attempt(
    place: Place,
    attempted: Attempted,
    failure: { ofArm: boolean },
  ): Promise<Prediction> {
    const { call, context, startedAt, servedAt } = attempted;
    const enteredAt = performance.now();
    const ids = Array.from({ length: sizeOf(call.question) }, predictionId);
    const scored = nothingScored();
    let version: ServedVersion | undefined;
    try {
      return await models.use(call.model, place.arm.alias, async (served) => {
        version = served;
        const deadline = call.timeoutMs === undefined ? Infinity : startedAt + call.timeoutMs;
        await score(call, { served, deployment: attempted.deployment, context, deadline, into: scored });
        const ms = performance.now() - enteredAt;
        const prediction = toPrediction(served, place, { call, ids, scored, servedAt });
        if (call.explain === true) prediction.explanations = await explain(prediction);
        scored.times.totalMs = performance.now() - startedAt;
        place.done({ failed: false, ms });
        const logged = loggedCall(served, place, { call, context, scored, servedAt });
        log.append(ids.map((_, row) => toEntry(prediction, logged, row, outcomeOf(prediction, row))));
        answered(call, prediction, context);
        return prediction;
      });
    } catch (error) {
      const code = codeOf(error);
      const isMistake = CALLERS_MISTAKES.has(code);
      // What fails before the rows are together is the features' or the caller's, which the arm has in common with the
      // champion unless it asks for other features.
      const isItsOwn = scored.checked !== undefined ? !isMistake : asksOtherwise(version, call.model);
      failure.ofArm = isItsOwn;
      place.done(isItsOwn && !isMistake ? { failed: true, ms: performance.now() - enteredAt } : undefined);
      scored.times.totalMs = performance.now() - startedAt;
      if (version === undefined) {
        logFailure(call, error, { context, startedAt, servedAt, arm: place.arm.name });
      } else {
        const logged = loggedCall(version, place, { call, context, scored, servedAt });
        const failed = failureOf(code, textOf(error));
        const partly = { ids, ...askedOf(call), checked: scored.checked, read: scored.read };
        log.append(ids.map((_, row) => toEntry(partly, logged, row, failed)));
      }
      throw error;
    }
  }

  /** Whether a version takes other features than the champion, or there is none to take any. */
  function asksOtherwise(version: ServedVersion | undefined, model: string): boolean {
    const [champion] = models.versions(model);
    if (version === undefined) return true;
    return champion !== undefined && !asksAlike(version.signature, champion.signature);
  }

  /** One record for a call that no version saw. */
  function logFailure(
    call: Pick<PredictCall, "model" | "asOf">,
    error: unknown,
    { context, startedAt, servedAt, arm = null }: {
      context: CallContext;
      startedAt: number;
      servedAt: string;
      arm?: string | null;
    },
  ): void {
    log.append([{
      id: predictionId(),
      call: {
        project: null,
        model: call.model,
        version: null,
        arm,
        assigned: null,
        rerouted: null,
        features: [],
        classes: null,
        featuresFrom: null,
        featureService: null,
        position: null,
        snapshot: null,
        at: call.asOf ?? servedAt,
        servedAt,
        latencyMs: performance.now() - startedAt,
        traceparent: context.traceparent,
      },
      ...failureOf(codeOf(error), textOf(error)),
      entity: null,
      request: undefined,
      given: undefined,
      row: 0,
      statuses: undefined,
      marks: undefined,
      shadowOf: null,
    }]);
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
        logFailure({ model }, error, { context, startedAt: performance.now(), servedAt: toInstant(now()) });
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

/** Failures that another arm would have answered alike. */
const CALLERS_MISTAKES: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  "invalid",
  "not_found",
  "too_large",
  "unsupported",
  "unprocessable",
]);

const codeOf = (error: unknown): ErrorCode => error instanceof AppError ? error.code : "internal";

/** With every reason: the log is where one looks for what callers do wrong. */
function textOf(error: unknown): string {
  const reasons = error instanceof AppError ? error.reasons : [];
  return [messageOf(error), ...reasons.map(({ path, message }) => `${path} ${message}`)].join("; ");
}

/** Whom a call asks about, where it does not give rows. */
const askedOf = ({ question }: PredictCall): Pick<Prediction, "entities" | "request"> =>
  "entities" in question
    ? { entities: question.entities, request: question.request }
    : { entities: undefined, request: undefined };

/** The call of some of its entities. */
function partOf(call: PredictCall, positions: readonly number[]): PredictCall {
  const { question } = call;
  if (!("entities" in question)) return call;
  const { entities, given, request } = question;
  return {
    ...call,
    question: {
      entities: positions.map((position) => entities[position]!),
      given: given && positions.map((position) => given[position]!),
      request: request && positions.map((position) => request[position]!),
    },
  };
}

/** A failure of some of a call's entities, with the places of its reasons as they are in the call. */
function inTheCall(error: unknown, positions: readonly number[]): unknown {
  if (!(error instanceof AppError) || error.reasons.length === 0) return error;
  const placed = (text: string) =>
    text.replace(/\/(entities|features|request)\/(\d+)/, (_, list: string, row: string) => {
      return `/${list}/${positions[Number(row)]}`;
    });
  const { code, message, retryAfter } = error;
  const reasons = error.reasons.map(({ path, message }) => ({ path: placed(path), message }));
  return new AppError(code, placed(message), {
    reasons,
    cause: error,
    ...(retryAfter === undefined ? {} : { retryAfter }),
  });
}

function toPrediction(
  served: ServedVersion,
  place: Place,
  { call, ids, scored, servedAt }: {
    call: PredictCall;
    ids: readonly string[];
    scored: Scored;
    servedAt: string;
  },
): Prediction {
  return {
    served,
    arm: place.arm.name,
    at: scored.read?.at ?? call.asOf ?? null,
    servedAt,
    ids,
    ...askedOf(call),
    checked: scored.checked!,
    read: scored.read,
    outputs: scored.outputs!,
    times: scored.times,
  };
}

/** What is logged of a row. Each field by its name: objects that are spread cost more than all the rest of it. */
function toEntry(
  { ids, entities, request, checked, read }: Pick<Prediction, "ids" | "entities" | "request" | "read"> & {
    checked: CheckedRows | undefined;
  },
  call: LoggedCall,
  row: number,
  { outcome, code, error, output, probabilities }: Outcome,
): LogEntry {
  return {
    id: ids[row]!,
    call,
    outcome,
    code,
    error,
    output,
    probabilities,
    entity: entities?.[row] ?? null,
    request: request?.[row],
    given: checked?.given,
    row,
    statuses: read?.statuses[row],
    marks: checked?.marks.get(row),
    shadowOf: null,
  };
}
