/** What a version made of a call -> what is logged of it. @module */
import type { CallContext } from "shared/contracts/endpoint.ts";
import type { Instant } from "shared/contracts/time.ts";
import { outputOf, type PredictCall, type Prediction, rounded } from "./predict_call.ts";
import type { LogEntry, LoggedCall } from "./prediction_log/log_entry.ts";
import type { Place } from "./routing/router.ts";
import type { ServedVersion } from "./runtime/admission.ts";
import type { Scored } from "./score.ts";

export function loggedCall(
  served: ServedVersion,
  { arm, assigned, rerouted }: Pick<Place, "assigned" | "rerouted"> & { arm: { name: string } },
  { call, context, scored, servedAt }: {
    call: PredictCall;
    context: CallContext;
    scored: Scored;
    servedAt: Instant;
  },
): LoggedCall {
  return {
    project: served.entry.project,
    model: call.model,
    version: served.entry.version,
    arm: arm.name,
    assigned,
    rerouted,
    features: featureNames(served),
    classes: served.model.outputWidth > 1 ? served.signature.classes : null,
    featuresFrom: "entities" in call.question ? scored.read?.from ?? null : "request",
    featureService: scored.read === undefined ? null : served.signature.featureService,
    position: scored.read?.position ?? null,
    snapshot: scored.read?.snapshot ?? null,
    at: scored.read?.at ?? call.asOf ?? servedAt,
    servedAt,
    latencyMs: rounded(scored.times.totalMs),
    traceparent: context.traceparent,
  };
}

/** What became of a row. */
export type Outcome = Pick<LogEntry, "outcome" | "code" | "error" | "output" | "probabilities">;

/** Of a row that was not answered. */
export const failureOf = (code: string, error: string): Outcome => ({
  outcome: "error",
  code,
  error,
  output: null,
  probabilities: undefined,
});

export const outcomeOf = (
  prediction: Pick<Prediction, "served" | "outputs">,
  row: number,
): Outcome => ({
  outcome: "ok",
  code: null,
  error: null,
  output: outputOf(prediction, row),
  probabilities: prediction.served.model.outputWidth > 1 ? prediction.outputs : undefined,
});

/** The names of a version's features: one list for all of its calls. */
const names = new WeakMap<ServedVersion, readonly string[]>();

export function featureNames(served: ServedVersion): readonly string[] {
  let list = names.get(served);
  if (list === undefined) names.set(served, list = served.signature.inputs.map(({ name }) => name));
  return list;
}
