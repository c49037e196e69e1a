/** Calls from NATS and HTTP -> pipelines started by hand, and their runs. @module */
import { bind, type BoundEndpoint, type Handler, type RequestOf } from "shared/contracts/endpoint.ts";
import * as contract from "shared/contracts/orchestration.ts";
import { notFound } from "shared/errors.ts";

export interface EndpointDeps {
  startByHand: Handler<typeof contract.startPipelineRun>;
  findRun: (id: string) => Promise<contract.PipelineRun | undefined>;
  listRuns: (request: RequestOf<typeof contract.listPipelineRuns>) => Promise<contract.PipelineRun[]>;
}

export function createEndpoints({ startByHand, findRun, listRuns }: EndpointDeps): BoundEndpoint[] {
  return [
    bind(contract.startPipelineRun, startByHand),
    bind(contract.getPipelineRun, async ({ id }) => {
      const run = await findRun(id);
      if (!run) throw notFound(`Cannot show the pipeline run ${id}: there is none with this id`);
      return run;
    }),
    bind(contract.listPipelineRuns, async (request) => ({ runs: await listRuns(request) })),
  ];
}
