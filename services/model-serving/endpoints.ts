/** Calls from NATS and HTTP -> predictions, and what is served. @module */
import { bind, type BoundEndpoint, type Handler } from "shared/contracts/endpoint.ts";
import * as contract from "shared/contracts/model_serving.ts";
import type { LiveModels } from "./live_models.ts";

export interface EndpointDeps {
  models: LiveModels;
  predict: Handler<typeof contract.predict>;
}

export function createEndpoints({ models, predict }: EndpointDeps): BoundEndpoint[] {
  return [
    bind(contract.predict, predict),
    bind(contract.servedModels, () => Promise.resolve({ models: models.list() })),
  ];
}
