/** Requests of the contract -> use cases. @module */
import * as contract from "shared/contracts/data_preprocessing.ts";
import {
  bind,
  type BoundEndpoint,
  type CallContext,
  type ReplyOf,
  type RequestOf,
} from "shared/contracts/endpoint.ts";

/** A use case that answers an endpoint. */
type Answer<E> = (request: RequestOf<E>, context: CallContext) => Promise<ReplyOf<E>>;

export interface EndpointsDeps {
  counts: Answer<typeof contract.counts>;
  quarantinedPage: Answer<typeof contract.quarantined>;
  redrive: Answer<typeof contract.redriveQuarantined>;
  preview: Answer<typeof contract.previewCleaning>;
  listBlocks: Answer<typeof contract.listBlocks>;
  releaseBlock: Answer<typeof contract.releaseBlock>;
  profiles: Answer<typeof contract.profiles>;
}

export function createEndpoints(deps: EndpointsDeps): BoundEndpoint[] {
  return [
    bind(contract.counts, deps.counts),
    bind(contract.quarantined, deps.quarantinedPage),
    bind(contract.redriveQuarantined, deps.redrive),
    bind(contract.previewCleaning, deps.preview),
    bind(contract.listBlocks, deps.listBlocks),
    bind(contract.releaseBlock, deps.releaseBlock),
    bind(contract.profiles, deps.profiles),
  ];
}
