/** What became of a call -> what is logged of it. @module */
import type { CallContext } from "shared/contracts/endpoint.ts";
import { AppError, type ErrorCode, messageOf } from "shared/errors.ts";
import { storableText } from "shared/storable_text.ts";
import { outputOf, type PredictCall, rounded } from "./predict_call.ts";
import { predictionId } from "./prediction_id.ts";
import type { LoggedCall } from "./prediction_log/logged_call.ts";
import type { Place } from "./routing/router.ts";
import type { ServedVersion } from "./runtime/admission.ts";
import type { Scored } from "./score.ts";

/** A call that a version took, and what it is known by. */
export interface TakenCall {
  call: PredictCall;
  context: CallContext;
  served: ServedVersion;
  place: Pick<Place, "assigned" | "rerouted"> & { arm: { name: string } };
  servedAtMs: number;
  /** One for each row. */
  ids: readonly string[];
  scored: Scored;
  /** For a shadow: the ids of what the caller got. */
  shadowOf?: readonly string[] | undefined;
}

/** Why nothing was answered. */
export type Failure = NonNullable<LoggedCall["failure"]>;

/** @param failure `undefined` where it was answered */
export function loggedCall(taken: TakenCall, failure: Failure | undefined): LoggedCall {
  const { call: { question, asOf, model }, served, place, scored, context } = taken;
  const { read, checked } = scored;
  const { outputWidth } = served.model;
  const isEntities = "entities" in question;
  const outputs = failure === undefined ? scored.outputs : undefined;
  return {
    project: served.entry.project,
    model,
    version: served.entry.version,
    arm: place.arm.name,
    assigned: place.assigned,
    rerouted: place.rerouted,
    features: featureNames(served),
    classes: outputWidth > 1 ? served.signature.classes : null,
    featuresFrom: isEntities ? read?.from ?? null : "request",
    featureService: read === undefined ? null : served.signature.featureService,
    position: read?.position ?? null,
    snapshot: read?.snapshot ?? null,
    at: read?.at ?? asOf ?? null,
    servedAtMs: taken.servedAtMs,
    latencyMs: rounded(scored.times.totalMs),
    traceparent: context.traceparent,
    failure,
    ids: taken.ids,
    outputs: outputWidth > 1 && outputs !== undefined
      ? taken.ids.map((_, row) => outputOf({ served, outputs }, row))
      : outputs,
    probabilities: outputWidth > 1 ? outputs : undefined,
    entities: isEntities ? question.entities : undefined,
    request: isEntities ? question.request : undefined,
    given: checked?.given,
    statuses: read?.statuses,
    marks: checked?.marks,
    shadowOf: taken.shadowOf,
  };
}

/** The names are of no version. */
const NO_FEATURES: readonly string[] = [];

/** A call that no version took: one record, whatever it asked for. */
export function unservedCall(
  { call: { model, asOf }, project, context, arm, startedAt, servedAtMs }: {
    call: Pick<PredictCall, "model" | "asOf">;
    /** Null for a model that is not deployed. */
    project: string | null;
    context: CallContext;
    /** Which was to answer, as far as that was known. */
    arm: string | null;
    /** By `performance.now()`. */
    startedAt: number;
    servedAtMs: number;
  },
  error: unknown,
): LoggedCall {
  return {
    project,
    model,
    version: null,
    arm,
    assigned: null,
    rerouted: null,
    features: NO_FEATURES,
    classes: null,
    featuresFrom: null,
    featureService: null,
    position: null,
    snapshot: null,
    at: asOf ?? null,
    servedAtMs,
    latencyMs: rounded(performance.now() - startedAt),
    traceparent: context.traceparent,
    failure: failureOf(error),
    ids: [predictionId(servedAtMs)],
    outputs: undefined,
    probabilities: undefined,
    entities: undefined,
    request: undefined,
    given: undefined,
    statuses: undefined,
    marks: undefined,
    shadowOf: undefined,
  };
}

export const codeOf = (error: unknown): ErrorCode => error instanceof AppError ? error.code : "internal";

/**
 * With every reason: the log is where one looks for what callers do wrong. Names that callers made up may hold what
 * readers of the log can't store.
 */
export function failureOf(error: unknown): Failure {
  const reasons = error instanceof AppError ? error.reasons : [];
  const texts = [messageOf(error), ...reasons.map(({ path, message }) => `${path} ${message}`)];
  return { code: codeOf(error), error: storableText(texts.join("; ")) };
}

/** The names of a version's features: one list for all of its calls. */
const names = new WeakMap<ServedVersion, readonly string[]>();

export function featureNames(served: ServedVersion): readonly string[] {
  let list = names.get(served);
  if (list === undefined) names.set(served, list = served.signature.inputs.map(({ name }) => name));
  return list;
}
