/** Calls from NATS and HTTP -> the windows and counts kept. @module */
import { bind, type BoundEndpoint, type ReplyOf, type RequestOf } from "shared/contracts/endpoint.ts";
import * as contract from "shared/contracts/model_monitoring.ts";

export interface EndpointDeps {
  listWindows: (
    request: RequestOf<typeof contract.drift>,
  ) => Promise<ReplyOf<typeof contract.drift>["windows"]>;
  countPredictions: () => Promise<ReplyOf<typeof contract.predictionCounts>["models"]>;
}

export function createEndpoints({ listWindows, countPredictions }: EndpointDeps): BoundEndpoint[] {
  return [
    bind(contract.drift, async (request) => ({ windows: await listWindows(request) })),
    bind(contract.predictionCounts, async () => ({ models: await countPredictions() })),
  ];
}
