/** Calls from NATS and HTTP -> predictions, and what is served. @module */
import { bind, type BoundEndpoint, type CallContext } from "shared/contracts/endpoint.ts";
import * as contract from "shared/contracts/model_serving.ts";
import type { LiveModels, ServedModel } from "./live_models.ts";
import type { Predict } from "./predict.ts";
import { createPredictHandler } from "./predict_endpoint.ts";
import type { Routers } from "./routing/routers.ts";

export interface EndpointDeps {
  models: LiveModels;
  predict: Predict;
  routers: Routers;
  deployments: () => ReadonlyMap<string, contract.DeploymentBody>;
}

export function createEndpoints(
  { models, predict, routers, deployments }: EndpointDeps,
): BoundEndpoint[] {
  const predictHandler = createPredictHandler(predict);
  return [
    { ...bind(contract.predict, predictHandler), refused, isReady: models.isSettled },
    { ...bind(contract.predictModel, predictHandler), refused, isReady: models.isSettled },
    bind(contract.servedModels, () => Promise.resolve({ models: models.list().map(withRole) })),
  ];

  /** A call that can't be read is an outcome too. */
  function refused(request: unknown, error: unknown, context: CallContext): void {
    predict.refused((request as { model?: unknown } | null | undefined)?.model, error, context);
  }

  /** What the version of an alias is to the deployment. */
  function withRole(served: ServedModel) {
    const router = routers.of(served.model);
    const arm = router?.arms.find(({ alias }) => alias === served.alias);
    const shadows = Object.entries(deployments().get(served.model)?.shadows ?? {})
      .filter(([, { alias }]) => alias === served.alias).map(([name]) => name);
    return {
      ...served,
      arm: arm === undefined ? null : {
        name: arm.name,
        weight: arm.weight,
        breaker: router!.breakerOf(arm),
        inFlight: router!.inFlight(arm),
      },
      shadows,
    };
  }
}
