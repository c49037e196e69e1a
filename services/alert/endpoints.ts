/** Calls from NATS and HTTP -> the alerts kept. @module */
import * as contract from "shared/contracts/alert.ts";
import { bind, type BoundEndpoint, type RequestOf } from "shared/contracts/endpoint.ts";

export interface EndpointDeps {
  listAlerts: (request: RequestOf<typeof contract.listAlerts>) => Promise<contract.Alert[]>;
}

export function createEndpoints({ listAlerts }: EndpointDeps): BoundEndpoint[] {
  return [bind(contract.listAlerts, async (request) => ({ alerts: await listAlerts(request) }))];
}
