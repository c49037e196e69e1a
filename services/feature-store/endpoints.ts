/** Calls from NATS and HTTP -> features, training sets and counts. @module */
import {
  bind,
  type BoundEndpoint,
  type CallContext,
  type ReplyOf,
  type RequestOf,
} from "shared/contracts/endpoint.ts";
import * as contract from "shared/contracts/feature_store.ts";
import { notFound } from "shared/errors.ts";

export interface EndpointDeps {
  readOnline: (request: RequestOf<typeof contract.online>) => Promise<ReplyOf<typeof contract.online>>;
  requestTrainingSet: (
    request: RequestOf<typeof contract.buildTrainingSet>,
    context: CallContext,
  ) => Promise<{ id: string }>;
  findTrainingSet: (id: string) => Promise<contract.TrainingSetStatus | undefined>;
  readCounts: () => Promise<ReplyOf<typeof contract.counts>["sources"]>;
}

export function createEndpoints(deps: EndpointDeps): BoundEndpoint[] {
  return [
    bind(contract.online, deps.readOnline),
    bind(contract.buildTrainingSet, deps.requestTrainingSet),
    bind(contract.getTrainingSet, async ({ id }) => {
      const trainingSet = await deps.findTrainingSet(id);
      if (trainingSet === undefined) throw notFound(`Cannot read the training set ${id}: there is none`);
      return trainingSet;
    }),
    bind(contract.counts, async () => ({ sources: await deps.readCounts() })),
  ];
}
