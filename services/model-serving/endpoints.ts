/** Calls from NATS and HTTP -> predictions, and what is served. @module */
import { bind, type BoundEndpoint } from "shared/contracts/endpoint.ts";
import * as contract from "shared/contracts/model_serving.ts";
import type { LiveModels } from "./live_models.ts";
import type { Predict } from "./predict.ts";
import { createPredictHandler } from "./predict_endpoint.ts";

export interface EndpointDeps {
  models: LiveModels;
  predict: Predict;
}

export function createEndpoints({ models, predict }: EndpointDeps): BoundEndpoint[] {
  return [
    bind(contract.predict, createPredictHandler(predict)),
    bind(contract.servedModels, () => Promise.resolve({ models: models.list() })),
  ];
}
