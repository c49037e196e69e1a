/** Brings back what NATS has lost of the models that aliases point to. @module */
import { v7 as uuidv7 } from "uuid";
import { readBucket } from "shared/bus/bucket.ts";
import type { Bus } from "shared/bus/connection.ts";
import { ensureTopology } from "shared/bus/topology.ts";
import { type AliasEntry, aliasEntrySchema } from "shared/contracts/model_training.ts";
import { BUCKET } from "shared/contracts/streams.ts";
import { type Database, transaction } from "shared/db/connection.ts";
import { enqueue } from "shared/db/outbox.ts";
import { messageOf } from "shared/errors.ts";
import type { Part } from "shared/lifecycle.ts";
import type { Logger } from "shared/log.ts";
import { patiently } from "shared/patience.ts";
import { announceAlias } from "./registry.ts";
import { listAliases } from "./repository/aliases.ts";
import { lockModel, readModelFile } from "./repository/versions.ts";

export interface AliasKeeperDeps {
  db: Database;
  bus: Bus;
  log: Logger;
  /** Tells the outbox that something waits. */
  poke(): void;
}

/**
 * Looks at the start, and after each reconnect, whether the file store has the file of every version that an alias
 * points to, and the bucket its entry, and puts what is missing there from the database. A look costs two requests
 * an alias; nothing waits for it.
 */
export function createAliasKeeper(deps: AliasKeeperDeps): Part {
  const { bus, log } = deps;
  const stopping = new AbortController();
  let looks: Promise<void> = Promise.resolve();
  let ignoreReconnects = () => {};

  return {
    name: "alias keeper",
    start() {
      ignoreReconnects = bus.onReconnect(() => look(() => ensureTopology(bus)));
      look();
      return Promise.resolve();
    },
    async stop() {
      ignoreReconnects();
      stopping.abort();
      await looks;
    },
  };

  /** @param before makes streams and buckets again, which may be what was lost */
  function look(before = () => Promise.resolve()): void {
    looks = looks.then(() => lookOnce(before));
  }

  async function lookOnce(before: () => Promise<void>): Promise<void> {
    const onWait = (reason: string) => log.warn({ reason }, "Waiting to look for the files of aliases");
    try {
      await patiently(async () => {
        await before();
        await restoreAliases(deps, stopping.signal);
      }, { signal: stopping.signal, onWait });
    } catch (error) {
      if (stopping.signal.aborted) return;
      log.error({ err: error }, `Cannot bring back what aliases point to: ${messageOf(error)}`);
    }
  }
}

async function restoreAliases(deps: AliasKeeperDeps, stopping: AbortSignal): Promise<void> {
  for (const entry of await listAliases(deps.db)) {
    if (stopping.aborted) return;
    await ensureFile(deps, entry.sha256);
    await restoreEntry(deps, entry);
  }
}

/** Puts a version's file into the file store, unless it is there. */
export async function ensureFile(
  { db, bus, log }: Pick<AliasKeeperDeps, "db" | "bus" | "log">,
  sha256: string,
): Promise<void> {
  if (await bus.files.has(sha256)) return;
  const onnx = await readModelFile(db, sha256);
  if (onnx === undefined) return;
  await bus.files.put(onnx);
  log.info({ sha256, bytes: onnx.length }, "Put a model's file back into the file store");
}

async function restoreEntry({ db, bus, log, poke }: AliasKeeperDeps, entry: AliasEntry): Promise<void> {
  const { model, alias } = entry;
  const told = await readBucket(bus, BUCKET.aliases, `${model}.${alias}`, aliasEntrySchema);
  if (told !== undefined && told.revision >= entry.revision) return;
  await transaction(db, async (tx) => {
    // Its turn among the moves of the model's aliases: an older entry must not follow a newer one.
    await lockModel(tx, model);
    const current = (await listAliases(tx, { model })).find((other) => other.alias === alias);
    if (current !== undefined) await enqueue(tx, [announceAlias(current, uuidv7())]);
  });
  poke();
  log.info({ model, alias, revision: entry.revision }, "Told of an alias again");
}
