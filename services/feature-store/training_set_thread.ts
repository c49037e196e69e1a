/** Building training sets in threads of their own: online reads go on beside them, and what a set took is given back. @module */
import type { FileStore } from "shared/bus/files.ts";
import type { StoredDefinition } from "shared/contracts/definition.ts";
import type { EntityBody, FeatureServiceBody, ViewBody } from "shared/contracts/feature_store.ts";
import { callWorker } from "shared/worker_call.ts";
import type { Definitions } from "./catalog.ts";
import type { TrainingSetRequest } from "./repository/training_sets.ts";
import type { BuiltTrainingSet } from "./training_set_description.ts";
import { isGiven } from "./training_set_plan.ts";

/** What the thread gets: everything as data. */
export interface BuildInput {
  databaseUrl: string;
  maxValues: number;
  request: TrainingSetRequest;
  definitions: DefinitionsData;
  spineFile: Uint8Array | undefined;
}

/** The definitions that a training set may need. */
export interface DefinitionsData {
  entities: StoredDefinition<EntityBody>[];
  views: StoredDefinition<ViewBody>[];
  /** The versions of views that the feature service was made with. */
  pinned: StoredDefinition<ViewBody>[];
  featureServices: StoredDefinition<FeatureServiceBody>[];
}

export interface BuildingOptions {
  /** Ends the thread at once, wherever it is. */
  signal: AbortSignal;
  onProgress(share: number): void;
}

/** @throws {AppError} what the builder throws; `not_found` when the file of the spine is not there */
export type BuildingThread = (
  request: TrainingSetRequest,
  options: BuildingOptions,
) => Promise<BuiltTrainingSet>;

export function createBuildingThread(
  { definitions, files, ...settings }: {
    databaseUrl: string;
    maxValues: number;
    definitions: Definitions;
    files: Pick<FileStore, "get">;
  },
): BuildingThread {
  return async (request, options) => {
    const { spine } = request;
    const spineFile = isGiven(spine) && "file" in spine ? await files.get(spine.file) : undefined;
    const input: BuildInput = {
      ...settings,
      request,
      definitions: await dataOf(definitions, request),
      spineFile,
    };
    return await callWorker<BuildInput, BuiltTrainingSet, number>(
      new URL("./training_set_thread_main.ts", import.meta.url),
      input,
      { ...options, transfer: spineFile === undefined ? [] : [spineFile.buffer as ArrayBuffer] },
    );
  };
}

async function dataOf(
  definitions: Definitions,
  { entity: entityName, featureService: { name, version } }: TrainingSetRequest,
): Promise<DefinitionsData> {
  const featureService = await definitions.featureService(name, version);
  const pins = await definitions.pins(name, version);
  const views = definitions.views();
  const pinned = await Promise.all([...pins].map(([view, version]) => definitions.view(view, version)));
  const found = pinned.filter((view) => view !== undefined);
  const entityNames = new Set([entityName, ...[...views, ...found].map(({ body }) => body.entity)]);
  const entities = await Promise.all([...entityNames].map((one) => definitions.entity(one)));
  return {
    entities: entities.filter((entity) => entity !== undefined),
    views: [...views],
    pinned: found,
    featureServices: featureService === undefined ? [] : [featureService],
  };
}
