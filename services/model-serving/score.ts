/** One version answers one call: features, check by the signature, run. @module */
import type { CallContext } from "shared/contracts/endpoint.ts";
import type { DeploymentBody } from "shared/contracts/model_serving.ts";
import { AppError } from "shared/errors.ts";
import { checkRead } from "./features/check_read.ts";
import type { EntityQuestion, FeatureRead, ReadFeatures } from "./features/read_features.ts";
import type { PredictCall, PredictTimes } from "./predict_call.ts";
import type { ServedVersion } from "./runtime/admission.ts";
import { allFinite } from "./validation/all_finite.ts";
import {
  type CheckedRows,
  createRowChecker,
  type InputPolicy,
  type RowChecker,
} from "./validation/row_checker.ts";

/** What is known of a call so far; the log keeps it also when the call fails. */
export interface Scored {
  read: FeatureRead | undefined;
  checked: CheckedRows | undefined;
  outputs: Float32Array | undefined;
  /** When the run was over, by `performance.now()`. */
  endedAt: number;
  times: PredictTimes;
}

export const nothingScored = (): Scored => ({
  read: undefined,
  checked: undefined,
  outputs: undefined,
  endedAt: 0,
  times: { featuresMs: 0, queueMs: 0, runMs: 0, totalMs: 0 },
});

export interface ScoreOf {
  served: ServedVersion;
  deployment: DeploymentBody;
  context: CallContext;
  /** By `performance.now()`. */
  deadline: number;
  /** Filled as far as the call gets. */
  into: Scored;
}

/** @throws {AppError} `unprocessable` when the version answers with NaN or infinity, besides what its parts throw */
export type Score = (call: PredictCall, of: ScoreOf) => Promise<void>;

export function createScore(readFeatures: ReadFeatures): Score {
  return async (call, of) => {
    const { question, priority } = call;
    const { served, deadline, into } = of;
    into.checked = "entities" in question
      ? await readRows(question, call, of)
      : question.check(checkerOf(of));
    const answer = await served.batcher.predict(into.checked, { deadline, priority });
    into.outputs = answer.outputs;
    into.endedAt = answer.endedAt;
    into.times.queueMs = answer.queueMs;
    into.times.runMs = answer.runMs;
    if (!allFinite(answer.outputs)) throw noNumbers(answer.outputs, served);
  };

  async function readRows(
    question: EntityQuestion,
    { asOf }: PredictCall,
    of: ScoreOf,
  ): Promise<CheckedRows> {
    const { served: { signature }, deployment, context, deadline, into } = of;
    const startedAt = performance.now();
    into.read = await readFeatures(question, { asOf, signature, deployment, context, deadline });
    into.times.featuresMs = performance.now() - startedAt;
    return checkRead(into.read, checkerOf(of));
  }
}

const MAX_NAMED_ROWS = 10;

function noNumbers(
  outputs: Float32Array,
  { entry: { model, version }, model: { outputWidth } }: ServedVersion,
) {
  const rows = new Set<number>();
  outputs.forEach((value, at) => {
    if (!Number.isFinite(value)) rows.add(Math.floor(at / outputWidth));
  });
  const named = [...rows].slice(0, MAX_NAMED_ROWS).join(", ") + (rows.size > MAX_NAMED_ROWS ? " ..." : "");
  return new AppError(
    "unprocessable",
    `Cannot predict with "${model}" version ${version}: what it answers is NaN or infinite for ${rows.size} rows ` +
      `(counted from 0: ${named})`,
  );
}

/** A checker is made once for a version and a policy; a policy that changes is another object. */
const checkers = new WeakMap<ServedVersion, { policy: InputPolicy; checker: RowChecker }>();

function checkerOf({ served, deployment: { input: policy } }: ScoreOf): RowChecker {
  const known = checkers.get(served);
  if (known?.policy === policy) return known.checker;
  const checker = createRowChecker(served.signature, policy);
  checkers.set(served, { policy, checker });
  return checker;
}
