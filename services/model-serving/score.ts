/** One version answers one call: features, check by the signature, run. @module */
import type { BatchAnswer } from "./batching/batcher.ts";
import type { CallContext } from "shared/contracts/endpoint.ts";
import type { DeploymentBody } from "shared/contracts/model_serving.ts";
import { checkRead } from "./features/check_read.ts";
import type { EntityQuestion, FeatureRead, ReadFeatures } from "./features/read_features.ts";
import type { PredictCall, PredictTimes } from "./predict_call.ts";
import type { ServedVersion } from "./runtime/admission.ts";
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

/** @returns `undefined` when it is done already, as rows are that a runtime answers at once */
export type Score = (call: PredictCall, of: ScoreOf) => Promise<void> | undefined;

export function createScore(readFeatures: ReadFeatures): Score {
  return (call, of) => {
    const { question } = call;
    const checker = checkerOf(of.served, of.deployment.input);
    if ("entities" in question) return scoreEntities(question, checker, call, of);
    of.into.checked = question.check(checker);
    return run(of.into.checked, call, of);
  };

  async function scoreEntities(
    question: EntityQuestion,
    checker: RowChecker,
    call: PredictCall,
    of: ScoreOf,
  ): Promise<void> {
    const { served: { signature }, deployment, context, deadline, into } = of;
    const startedAt = performance.now();
    const read = await readFeatures(question, { asOf: call.asOf, signature, deployment, context, deadline });
    into.read = read;
    into.times.featuresMs = performance.now() - startedAt;
    into.checked = checkRead(read, checker);
    await run(into.checked, call, of);
  }
}

function run(
  checked: CheckedRows,
  { priority }: PredictCall,
  { served, deadline, into }: ScoreOf,
): Promise<void> | undefined {
  const answer = served.batcher.predict(checked, { deadline, priority });
  if (answer instanceof Promise) return answer.then((late) => keep(late, into));
  keep(answer, into);
  return undefined;
}

function keep({ outputs, endedAt, queueMs, runMs }: BatchAnswer, into: Scored): void {
  into.outputs = outputs;
  into.endedAt = endedAt;
  into.times.queueMs = queueMs;
  into.times.runMs = runMs;
}

/** A checker is made once for a version and a policy; a policy that changes is another object. */
const checkers = new WeakMap<ServedVersion, { policy: InputPolicy; checker: RowChecker }>();

function checkerOf(served: ServedVersion, policy: InputPolicy): RowChecker {
  const known = checkers.get(served);
  if (known?.policy === policy) return known.checker;
  const checker = createRowChecker(served.signature, policy);
  checkers.set(served, { policy, checker });
  return checker;
}
