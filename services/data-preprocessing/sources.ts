/** The sources as data-ingestion defines them, followed by the bucket. @module */
import { watchBucket } from "shared/bus/bucket.ts";
import type { Bus } from "shared/bus/connection.ts";
import { type StoredDefinition, storedDefinitionSchema } from "shared/contracts/definition.ts";
import { type SourceBody, sourceBodySchema } from "shared/contracts/source.ts";
import { BUCKET } from "shared/contracts/streams.ts";
import { delay } from "shared/delay.ts";
import type { Part } from "shared/lifecycle.ts";
import type { Logger } from "shared/log.ts";

export interface Sources {
  /** Those that are declared, by name. */
  all(): ReadonlyMap<string, StoredDefinition<SourceBody>>;
  /**
   * A source that may have been put a moment ago: the bucket tells of it a little later. Waits for two seconds at
   * most, `undefined`: there is none.
   */
  find(name: string): Promise<StoredDefinition<SourceBody> | undefined>;
  part: Part;
}

const PREFIX = "data-ingestion.source.";
const WAIT_MS = 2_000;
const LOOK_MS = 25;

export function createSources(bus: Bus, log: Logger): Sources {
  const sources = new Map<string, StoredDefinition<SourceBody>>();
  return {
    all: () => sources,
    async find(name) {
      for (let waitedMs = 0; !sources.has(name) && waitedMs < WAIT_MS; waitedMs += LOOK_MS) {
        await delay(LOOK_MS);
      }
      return sources.get(name);
    },
    part: watchBucket(bus, {
      bucket: BUCKET.definitions,
      filter: `${PREFIX}*`,
      schema: storedDefinitionSchema(sourceBodySchema),
      log,
      onEntry(key, source) {
        const name = key.slice(PREFIX.length);
        if (source === undefined) sources.delete(name);
        else sources.set(name, source);
      },
    }),
  };
}
