/** Calls from NATS and HTTP -> runs and the registry. @module */
import {
  bind,
  type BoundEndpoint,
  type CallContext,
  type ReplyOf,
  type RequestOf,
} from "shared/contracts/endpoint.ts";
import * as contract from "shared/contracts/model_training.ts";
import { notFound } from "shared/errors.ts";

type Mutation<E> = (request: RequestOf<E>, context: CallContext) => Promise<ReplyOf<E>>;

export interface EndpointDeps {
  startRun: Mutation<typeof contract.startRun>;
  compareVersions: Mutation<typeof contract.compareVersions>;
  setAlias: Mutation<typeof contract.setAlias>;
  findRun(id: string): Promise<contract.Run | undefined>;
  listRuns(options: { model?: string | undefined; limit: number }): Promise<contract.Run[]>;
  listVersions(options: { model: string; limit: number }): Promise<contract.ModelVersion[]>;
  listMoves(
    options: { model: string; limit: number },
  ): Promise<ReplyOf<typeof contract.aliasHistory>["moves"]>;
}

export function createEndpoints(deps: EndpointDeps): BoundEndpoint[] {
  return [
    bind(contract.startRun, deps.startRun),
    bind(contract.getRun, async ({ id }) => {
      const run = await deps.findRun(id);
      if (run === undefined) throw notFound(`Cannot read the run ${id}: there is none`);
      return run;
    }),
    bind(contract.listRuns, async (request) => ({ runs: await deps.listRuns(request) })),
    bind(contract.listVersions, async (request) => ({ versions: await deps.listVersions(request) })),
    bind(contract.compareVersions, deps.compareVersions),
    bind(contract.setAlias, deps.setAlias),
    bind(contract.aliasHistory, async (request) => ({ moves: await deps.listMoves(request) })),
  ];
}
