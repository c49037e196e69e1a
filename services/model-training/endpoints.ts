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
import { compareRuns } from "./domain/compare_runs.ts";
import { pageOf } from "./domain/page.ts";

type Mutation<E> = (request: RequestOf<E>, context: CallContext) => Promise<ReplyOf<E>>;

export interface EndpointDeps {
  startRun: Mutation<typeof contract.startRun>;
  cancelRun: Mutation<typeof contract.cancelRun>;
  retryRun: Mutation<typeof contract.retryRun>;
  createRun: Mutation<typeof contract.createRun>;
  logRun: Mutation<typeof contract.logRun>;
  logArtifact: Mutation<typeof contract.logArtifact>;
  finishRun: Mutation<typeof contract.finishRun>;
  importVersion: Mutation<typeof contract.importVersion>;
  annotateVersion: Mutation<typeof contract.annotateVersion>;
  retireVersion: Mutation<typeof contract.retireVersion>;
  compareVersions: Mutation<typeof contract.compareVersions>;
  setAlias: Mutation<typeof contract.setAlias>;
  removeAlias: Mutation<typeof contract.removeAlias>;
  rollbackAlias: Mutation<typeof contract.rollbackAlias>;
  getCard(version: { model: string; version: number }): Promise<contract.ModelCard>;
  findRun(id: string): Promise<contract.RunDetail | undefined>;
  /** This and the next lists end with one more than the limit where there are more. */
  listRuns(request: RequestOf<typeof contract.listRuns>): Promise<contract.Run[]>;
  listMetrics(
    request: Omit<RequestOf<typeof contract.runMetrics>, "after"> & {
      after: { name: string; step: number } | undefined;
    },
  ): Promise<contract.LoggedPoint[]>;
  listLines(request: RequestOf<typeof contract.runLogs>): Promise<ReplyOf<typeof contract.runLogs>["lines"]>;
  listModels(
    request: RequestOf<typeof contract.listModels>,
  ): Promise<ReplyOf<typeof contract.listModels>["models"]>;
  listVersions(request: RequestOf<typeof contract.listVersions>): Promise<contract.ModelVersion[]>;
  findVersion(model: string, version: number): Promise<contract.VersionDetail | undefined>;
  listComparisons(request: RequestOf<typeof contract.listComparisons>): Promise<contract.KeptComparison[]>;
  listMoves(
    request: RequestOf<typeof contract.aliasHistory>,
  ): Promise<(contract.AliasMove & { id: number })[]>;
  listAliases(options: { model: string }): Promise<contract.AliasEntry[]>;
}

export function createEndpoints(deps: EndpointDeps): BoundEndpoint[] {
  return [
    bind(contract.startRun, deps.startRun),
    bind(contract.cancelRun, deps.cancelRun),
    bind(contract.retryRun, deps.retryRun),
    bind(contract.getRun, async ({ id }) => {
      const run = await deps.findRun(id);
      if (run === undefined) throw notFound(`Cannot read the run ${id}: there is none`);
      return run;
    }),
    bind(contract.listRuns, async (request) => {
      const { items, next } = pageOf(await deps.listRuns(request), request.limit);
      return { runs: items, next: next?.id ?? null };
    }),
    bind(contract.compareRuns, async ({ ids }) => {
      return compareRuns(
        await Promise.all(ids.map(async (id) => {
          const run = await deps.findRun(id);
          if (run === undefined) throw notFound(`Cannot compare the runs: there is no run ${id}`);
          return run;
        })),
      );
    }),
    bind(contract.runMetrics, async ({ after, ...request }) => {
      const points = await deps.listMetrics({ ...request, after: readPlace(after) });
      const { items, next } = pageOf(points, request.limit);
      return { points: items, next: next === null ? null : `${next.step}/${next.name}` };
    }),
    bind(contract.runLogs, async (request) => {
      const { items, next } = pageOf(await deps.listLines(request), request.limit);
      return { lines: items, next: next?.sequence ?? null };
    }),
    bind(contract.createRun, deps.createRun),
    bind(contract.logRun, deps.logRun),
    bind(contract.logArtifact, deps.logArtifact),
    bind(contract.finishRun, deps.finishRun),
    bind(contract.listModels, async (request) => {
      const { items, next } = pageOf(await deps.listModels(request), request.limit);
      return { models: items, next: next?.model ?? null };
    }),
    bind(contract.listVersions, async (request) => {
      const { items, next } = pageOf(await deps.listVersions(request), request.limit);
      return { versions: items, next: next?.version ?? null };
    }),
    bind(contract.getVersion, async ({ model, version }) => {
      const found = await deps.findVersion(model, version);
      if (found === undefined) throw notFound(`Cannot read version ${version} of ${model}: there is none`);
      return found;
    }),
    bind(contract.annotateVersion, deps.annotateVersion),
    bind(contract.importVersion, deps.importVersion),
    bind(contract.retireVersion, deps.retireVersion),
    bind(contract.getCard, deps.getCard),
    bind(contract.compareVersions, deps.compareVersions),
    bind(contract.listComparisons, async (request) => {
      const { items, next } = pageOf(await deps.listComparisons(request), request.limit);
      return { comparisons: items, next: next?.id ?? null };
    }),
    bind(contract.setAlias, deps.setAlias),
    bind(contract.removeAlias, deps.removeAlias),
    bind(contract.rollbackAlias, deps.rollbackAlias),
    bind(contract.aliasHistory, async (request) => {
      const { items, next } = pageOf(await deps.listMoves(request), request.limit);
      const aliases = await deps.listAliases({ model: request.model });
      return {
        aliases: Object.fromEntries(aliases.map(({ alias, version }) => [alias, version])),
        moves: items.map(({ id: _, ...move }) => move),
        next: next?.id ?? null,
      };
    }),
  ];
}

/** Where a page of metrics ended: `<step>/<name>`. */
function readPlace(after: string | undefined): { name: string; step: number } | undefined {
  if (after === undefined) return undefined;
  const [step, ...name] = after.split("/");
  return { step: Number(step), name: name.join("/") };
}
