/** The use case of the service: who answers, its answer, the log. @module */
import { v7 as uuidv7 } from "uuid";
import type { CallContext } from "shared/contracts/endpoint.ts";
import type { DeploymentBody } from "shared/contracts/model_serving.ts";
import { toInstant } from "shared/contracts/time.ts";
import { AppError, type ErrorCode, messageOf, notFound } from "shared/errors.ts";
import type { LiveModels } from "./live_models.ts";
import { type PredictCall, type Prediction, sizeOf } from "./predict_call.ts";
import { loggedCall, outcomeOf } from "./log_outcome.ts";
import type { LogEntry, LoggedCall } from "./prediction_log/log_entry.ts";
import type { PredictionLog } from "./prediction_log/prediction_log.ts";
import { assignCall } from "./routing/assign_call.ts";
import type { Arm, Place, Router } from "./routing/router.ts";
import type { Routers } from "./routing/routers.ts";
import type { ServedVersion } from "./runtime/admission.ts";
import { nothingScored, type Score, type Scored } from "./score.ts";
import type { CheckedRows } from "./validation/row_checker.ts";

export interface PredictDeps {
  models: LiveModels;
  /** The deployments in force, by model. */
  deployments: () => ReadonlyMap<string, DeploymentBody>;
  routers: Routers;
  score: Score;
  log: Pick<PredictionLog, "append" | "checkRoom">;
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
  /** Logs a call that never became one: its request could not be read. */
  refused(model: string, error: unknown, context: CallContext): void;
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
  const { models, deployments, routers, score, log, answered = () => {}, now = Date.now } = deps;

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
    return await Promise.all(assigned.map(async ({ arm, positions }) => ({
      prediction: await answer(arm, router, { ...attempted, call: partOf(call, positions!) }),
      positions,
    })));
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

  /** The assigned arm answers; where it fails, and not by the caller's mistake, the champion does. */
  async function answer(arm: Arm, router: Router, attempted: Attempted): Promise<Prediction> {
    const { call, context, startedAt, servedAt } = attempted;
    const rows = sizeOf(call.question);
    let place: Place;
    try {
      place = router.enter(arm, rows);
    } catch (error) {
      logFailure(call, error, { context, startedAt, servedAt, arm: arm.name });
      throw error;
    }
    const fault = { ofArm: false };
    try {
      return await attempt(place, attempted, fault);
    } catch (error) {
      if (!fault.ofArm || place.arm.champion) throw error;
      return await attempt(router.fallBack(place.arm, rows), attempted, fault);
    }
  }

  /** @param fault is told whether the arm is to blame for a failure */
  async function attempt(place: Place, attempted: Attempted, fault: { ofArm: boolean }): Promise<Prediction> {
    const { call, context, startedAt, servedAt } = attempted;
    const enteredAt = performance.now();
    const ids = Array.from({ length: sizeOf(call.question) }, () => uuidv7());
    const scored = nothingScored();
    let version: ServedVersion | undefined;
    try {
      return await models.use(call.model, place.arm.alias, async (served) => {
        version = served;
        const deadline = call.timeoutMs === undefined ? Infinity : startedAt + call.timeoutMs;
        await score(call, { served, deployment: attempted.deployment, context, deadline, into: scored });
        scored.times.totalMs = performance.now() - startedAt;
        place.done({ failed: false, ms: performance.now() - enteredAt });
        const prediction = toPrediction(served, place, { call, ids, scored, servedAt });
        const logged = loggedCall(served, place, { call, context, scored, servedAt });
        log.append(
          ids.map((_, row) => ({ ...entryOf(prediction, logged, row), ...outcomeOf(prediction, row) })),
        );
        answered(call, prediction, context);
        return prediction;
      });
    } catch (error) {
      const code = error instanceof AppError ? error.code : "internal";
      // What fails before the rows are together is the features' or the caller's.
      fault.ofArm = version === undefined || (scored.checked !== undefined && !CALLERS_MISTAKES.has(code));
      place.done(fault.ofArm ? { failed: true, ms: performance.now() - enteredAt } : undefined);
      scored.times.totalMs = performance.now() - startedAt;
      if (version === undefined) {
        logFailure(call, error, { context, startedAt, servedAt, arm: place.arm.name });
      } else {
        const logged = loggedCall(version, place, { call, context, scored, servedAt });
        const failed = { outcome: "error" as const, code, error: textOf(error), output: null };
        const entities = "entities" in call.question ? call.question.entities : undefined;
        const partly = { ids, entities, checked: scored.checked, read: scored.read };
        log.append(ids.map((_, row) => ({ ...entryOf(partly, logged, row), ...failed })));
      }
      throw error;
    }
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
      id: uuidv7(),
      call: {
        project: null,
        model: call.model,
        version: null,
        arm,
        assigned: null,
        rerouted: null,
        features: [],
        featuresFrom: null,
        position: null,
        at: call.asOf ?? servedAt,
        servedAt,
        latencyMs: performance.now() - startedAt,
        traceparent: context.traceparent,
      },
      outcome: "error",
      code: error instanceof AppError ? error.code : "internal",
      error: textOf(error),
      output: null,
      entity: null,
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
      refused(model: string, error: unknown, context: CallContext) {
        logFailure({ model }, error, { context, startedAt: performance.now(), servedAt: toInstant(now()) });
      },
    },
  );
}

/** Failures that another arm would have answered alike. */
const CALLERS_MISTAKES: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  "invalid",
  "not_found",
  "too_large",
  "unsupported",
  "unprocessable",
]);

/** With every reason: the log is where one looks for what callers do wrong. */
function textOf(error: unknown): string {
  const reasons = error instanceof AppError ? error.reasons : [];
  return [messageOf(error), ...reasons.map(({ path, message }) => `${path} ${message}`)].join("; ");
}

/** The call of some of its entities. */
function partOf(call: PredictCall, positions: readonly number[]): PredictCall {
  const { question } = call;
  if (!("entities" in question)) return call;
  const { entities, given } = question;
  return {
    ...call,
    question: {
      entities: positions.map((position) => entities[position]!),
      given: given && positions.map((position) => given[position]!),
    },
  };
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
    entities: "entities" in call.question ? call.question.entities : undefined,
    checked: scored.checked!,
    read: scored.read,
    outputs: scored.outputs!,
    times: scored.times,
  };
}

/** What is logged of a row, whatever came of it. */
function entryOf(
  { ids, entities, checked, read }: Pick<Prediction, "ids" | "entities" | "read"> & {
    checked: CheckedRows | undefined;
  },
  call: LoggedCall,
  row: number,
): Omit<LogEntry, "outcome" | "code" | "error" | "output"> {
  return {
    id: ids[row]!,
    call,
    entity: entities?.[row] ?? null,
    given: checked?.given,
    row,
    statuses: read?.statuses[row],
    marks: checked?.marks.get(row),
    shadowOf: null,
  };
}
