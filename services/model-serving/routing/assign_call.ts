/** A call -> the arms that its rows are assigned to. @module */
import type { DeploymentBody } from "shared/contracts/model_serving.ts";
import { invalidInput } from "shared/validation.ts";
import type { PredictCall } from "../predict_call.ts";
import { entityAssignmentKey } from "./assignment.ts";
import type { Arm, Router } from "./router.ts";

/** Rows of a call that one arm is to answer; without `positions` all of them. */
export interface Assigned {
  arm: Arm;
  positions: readonly number[] | undefined;
}

/**
 * Entities are assigned one by one where the deployment is sticky by entity; otherwise the whole call goes to one arm.
 *
 * @throws {AppError} `invalid` when the call lacks the key by which the deployment assigns
 */
export function assignCall(
  { question, key }: Pick<PredictCall, "question" | "key">,
  sticky: DeploymentBody["sticky"],
  router: Router,
): Assigned[] {
  if (router.arms.length === 1) return [{ arm: router.champion, positions: undefined }];
  if (sticky === undefined) return [{ arm: router.assign(undefined), positions: undefined }];
  if (sticky.by === "key" || !("entities" in question)) {
    if (key === undefined) {
      const why = sticky.by === "key" ? "" : " where rows are given instead of entities";
      throw invalidInput("predict", [{ path: "/key", message: `must say by what to assign the call${why}` }]);
    }
    return [{ arm: router.assign(key), positions: undefined }];
  }
  const arms = question.entities.map((entity, index) => {
    const text = entityAssignmentKey(entity, sticky.parts);
    if (text !== undefined) return router.assign(text);
    const parts = sticky.parts?.join(", ") ?? "a key";
    throw invalidInput("predict", [{
      path: `/entities/${index}`,
      message: `must hold ${parts}, which assigns it`,
    }]);
  });
  if (arms.every((arm) => arm === arms[0])) return [{ arm: arms[0]!, positions: undefined }];
  return [...Map.groupBy(arms.keys(), (index) => arms[index]!)].map(([arm, positions]) => ({
    arm,
    positions,
  }));
}
