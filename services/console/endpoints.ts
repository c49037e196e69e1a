/** Calls from NATS and HTTP -> the picture of the platform. @module */
import * as contract from "shared/contracts/console.ts";
import { bind, type BoundEndpoint } from "shared/contracts/endpoint.ts";

export function createEndpoints(deps: { current: () => Promise<contract.Overview> }): BoundEndpoint[] {
  return [bind(contract.overview, deps.current)];
}
