/** Building training sets in threads of their own: online reads go on beside them, and what a set took is given back. @module */
import type { FileStore } from "shared/bus/files.ts";
import { callWorker } from "shared/worker_call.ts";
import type { Definitions } from "./catalog.ts";
import type { TrainingSetRequest } from "./repository/training_sets.ts";
import type { BuiltTrainingSet } from "./training_set_description.ts";
import { type DefinitionsData, toData } from "./training_set_definitions.ts";
import { isGiven } from "./training_set_plan.ts";

/** What the thread gets: everything as data. */
export interface BuildInput {
  databaseUrl: string;
  maxValues: number;
  threads: number;
  valuesOfThread: number;
  request: TrainingSetRequest;
  definitions: DefinitionsData;
  spineFile: Uint8Array | undefined;
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
    /** Threads that may work on a training set. */
    threads: number;
    /** Rows times features for each of them, at least. */
    valuesOfThread: number;
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
      definitions: await toData(definitions, request),
      spineFile,
    };
    return await callWorker<BuildInput, BuiltTrainingSet, number>(
      new URL("./training_set_thread_main.ts", import.meta.url),
      input,
      { ...options, transfer: spineFile === undefined ? [] : [spineFile.buffer as ArrayBuffer] },
    );
  };
}
