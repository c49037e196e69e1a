/** Requests of the contract -> use cases. @module */
import * as contract from "shared/contracts/data_preprocessing.ts";
import { bind, type BoundEndpoint, type ReplyOf, type RequestOf } from "shared/contracts/endpoint.ts";

export interface EndpointsDeps {
  counts(source: string | undefined): Promise<contract.CleaningCounts[]>;
  quarantinedPage(
    request: RequestOf<typeof contract.quarantined>,
  ): Promise<ReplyOf<typeof contract.quarantined>>;
}

export function createEndpoints({ counts, quarantinedPage }: EndpointsDeps): BoundEndpoint[] {
  return [
    bind(contract.counts, async ({ source }) => ({ sources: await counts(source) })),
    bind(contract.quarantined, quarantinedPage),
  ];
}
