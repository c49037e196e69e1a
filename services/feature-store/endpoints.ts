/** Calls from NATS and HTTP -> features, training sets and counts. @module */
import {
  bind,
  type BoundEndpoint,
  type CallContext,
  type JsonText,
  type ReplyOf,
  type RequestOf,
} from "shared/contracts/endpoint.ts";
import * as contract from "shared/contracts/feature_store.ts";
import { notFound } from "shared/errors.ts";

export interface EndpointDeps {
  readOnline: (
    request: RequestOf<typeof contract.online>,
    context: CallContext,
  ) => Promise<JsonText>;
  push: (
    request: RequestOf<typeof contract.push>,
    context: CallContext,
  ) => Promise<ReplyOf<typeof contract.push>>;
  readProgress: (view?: string) => Promise<contract.ViewProgress[]>;
  requestTrainingSet: (
    request: RequestOf<typeof contract.buildTrainingSet>,
    context: CallContext,
  ) => Promise<{ id: string }>;
  findTrainingSet: (id: string) => Promise<contract.TrainingSetStatus | undefined>;
  listTrainingSets: (
    query: RequestOf<typeof contract.listTrainingSets>,
  ) => Promise<contract.TrainingSetStatus[]>;
  cancelTrainingSet: (id: string, context: CallContext) => Promise<contract.TrainingSetStatus>;
  readStatistics: (
    query: RequestOf<typeof contract.trainingSetStatistics>,
  ) => Promise<{ columns: contract.ColumnStatistics[]; total: number } | undefined>;
  readLabelProgress: (model: string) => Promise<ReplyOf<typeof contract.labelProgress> | undefined>;
  readCounts: () => Promise<ReplyOf<typeof contract.counts>["sources"]>;
}

export function createEndpoints(deps: EndpointDeps): BoundEndpoint[] {
  return [
    bind(contract.online, deps.readOnline),
    bind(contract.push, deps.push),
    bind(contract.viewVersions, async ({ view }) => ({ versions: await deps.readProgress(view) })),
    bind(contract.buildTrainingSet, deps.requestTrainingSet),
    bind(contract.getTrainingSet, async ({ id }) => {
      const trainingSet = await deps.findTrainingSet(id);
      if (trainingSet === undefined) throw noTrainingSet("read", id);
      return trainingSet;
    }),
    bind(contract.listTrainingSets, async (query) => {
      const trainingSets = await deps.listTrainingSets(query);
      return { trainingSets, next: trainingSets.length < query.limit ? null : trainingSets.at(-1)!.id };
    }),
    bind(contract.cancelTrainingSet, ({ id }, context) => deps.cancelTrainingSet(id, context)),
    bind(contract.trainingSetStatistics, async (query) => {
      const page = await deps.readStatistics(query);
      if (page === undefined) throw noTrainingSet("read the statistics of", query.id);
      const end = query.after + page.columns.length;
      return { columns: page.columns, next: end < page.total ? end : null };
    }),
    bind(contract.labelProgress, async ({ model }) => {
      const progress = await deps.readLabelProgress(model);
      if (progress === undefined) {
        throw notFound(`Cannot tell of the labels of "${model}": none are declared`);
      }
      return progress;
    }),
    bind(contract.counts, async () => ({ sources: await deps.readCounts() })),
  ];
}

function noTrainingSet(verb: string, id: string): Error {
  return notFound(`Cannot ${verb} the training set ${id}: there is none`);
}
