/** The thread's side of training_set_thread.ts. @module */
import { connectDatabase } from "shared/db/connection.ts";
import { messageOf, unavailable } from "shared/errors.ts";
import { isInfrastructureError } from "shared/infrastructure_error.ts";
import { createLogger } from "shared/log.ts";
import { answerCalls } from "shared/worker_call.ts";
import type { Definitions } from "./catalog.ts";
import { buildTrainingSet } from "./training_set_builder.ts";
import type { BuiltTrainingSet } from "./training_set_description.ts";
import type { BuildInput, DefinitionsData } from "./training_set_thread.ts";
import { recordsOnly } from "./view_catalog.ts";

answerCalls<BuildInput, BuiltTrainingSet, number>(
  async ({ databaseUrl, maxValues, request, definitions, spineFile }, tell) => {
    const log = createLogger("feature-store", { level: "warn" });
    const db = connectDatabase({ url: databaseUrl, log, max: 1 });
    try {
      const deps = { db, definitions: fromData(definitions), maxValues };
      const output = await buildTrainingSet(deps, request, { spineFile, onProgress: tell });
      return { output, transfer: [output.file.buffer as ArrayBuffer] };
    } catch (error) {
      if (!isInfrastructureError(error)) throw error;
      // Its class does not cross the border of the thread.
      throw unavailable(`Cannot read the records of a training set: ${messageOf(error)}`, { cause: error });
    } finally {
      await db.end({ timeout: 1 });
    }
  },
);

function fromData({ entities, views, pinned, featureServices }: DefinitionsData): Definitions {
  const find = <T extends { name: string }>(all: readonly T[], name: string) =>
    Promise.resolve(all.find((one) => one.name === name));
  return {
    entity: (name) => find(entities, name),
    view: (name, version) => find(version === undefined ? views : pinned, name),
    views: () => views,
    featureService: (name) => find(featureServices, name),
    pins: () => Promise.resolve(new Map(pinned.map(({ name, version }) => [name, version]))),
    catalog: recordsOnly,
  };
}
