/**
 * Keeps a copy's {@link DefinitionCache} as the table is. The bucket only says when to look into the table again,
 * so that entries that are late, doubled, or left from an older database can't bring an old definition back.
 *
 * @module
 */
import { z } from "zod";
import { watchBucket } from "../bus/bucket.ts";
import type { Bus } from "../bus/connection.ts";
import { storedDefinitionSchema } from "../contracts/definition.ts";
import type { StoredDefinition } from "../contracts/definition.ts";
import { BUCKET } from "../contracts/streams.ts";
import { type Database, transaction } from "../db/connection.ts";
import { enqueue, type Outbox } from "../db/outbox.ts";
import { delay } from "../delay.ts";
import { messageOf } from "../errors.ts";
import type { Part } from "../lifecycle.ts";
import type { Logger } from "../log.ts";
import { parseWith } from "../validation.ts";
import type { DefinitionCache } from "./cache.ts";
import { announcement, toStored } from "./change.ts";
import type { DefinitionKind } from "./kind.ts";
import { type DefinitionRow, lockDefinition, selectAllCurrent, selectCurrent } from "./table.ts";

export interface MirrorDeps {
  db: Database;
  bus: Bus;
  log: Logger;
  outbox: Pick<Outbox, "poke">;
  cache: DefinitionCache;
}

export interface Mirror {
  part: Part;
  /** Brings one definition up to what the table says. */
  refresh(kind: string, name: string): Promise<void>;
}

const MAX_RETRY_MS = 5_000;

export function createMirror(
  deps: MirrorDeps,
  { service, kinds }: { service: string; kinds: ReadonlyMap<string, DefinitionKind> },
): Mirror {
  const { db, bus, log, outbox, cache } = deps;
  const stopped = new AbortController();
  /** The version that the bucket holds of each key, as far as it was told. */
  const announced = new Map<string, number>();
  let lookups: Promise<void> = Promise.resolve();

  const watch = watchBucket(bus, {
    bucket: BUCKET.definitions,
    filter: `${service}.>`,
    schema: storedDefinitionSchema(z.unknown()),
    onEntry: follow,
    log,
  });

  return {
    part: {
      name: "definitions",
      async start() {
        for (const row of await selectAllCurrent(db)) take(row.kind, row.name, row);
        await watch.start();
        await announceDifferences();
      },
      async stop() {
        stopped.abort();
        await watch.stop();
        await lookups;
      },
    },
    refresh,
  };

  /** One after the other: a look that began before a change must not overwrite one that began after it. */
  function refresh(kind: string, name: string): Promise<void> {
    const looked = lookups.then(async () => take(kind, name, await selectCurrent(db, kind, name)));
    // Its failure is told to who asked for it.
    lookups = looked.catch(() => undefined);
    return looked;
  }

  function take(kind: string, name: string, row: DefinitionRow | undefined): void {
    const schema = kinds.get(kind);
    if (schema === undefined) return;
    try {
      cache.set(kind, name, row && readRow(schema, row));
    } catch (error) {
      // An older body that the schema no longer takes: the others must not suffer for it.
      log.error({ err: error }, messageOf(error));
    }
  }

  async function follow(key: string, entry: StoredDefinition | undefined): Promise<void> {
    const [kind = "", name = ""] = key.split(".").slice(1);
    if (!kinds.has(kind)) return;
    if (entry === undefined) announced.delete(key);
    else announced.set(key, entry.version);
    if (cache.get(kind, name)?.version === entry?.version) return;

    for (let failures = 0; !stopped.signal.aborted; failures++) {
      try {
        return await refresh(kind, name);
      } catch (error) {
        log.warn({ err: error, key }, `Cannot read a definition that changed: ${messageOf(error)}`);
        await delay(Math.min(100 * 2 ** failures, MAX_RETRY_MS), stopped.signal);
      }
    }
  }

  /** Where the bucket and the table differ, one of the two was lost: the table is what counts. */
  async function announceDifferences(): Promise<void> {
    const inForce = new Map(
      [...kinds.keys()].flatMap((kind) => cache.list(kind)).map((
        { kind, name, version },
      ) => [`${service}.${kind}.${name}`, version]),
    );
    const keys = new Set([...announced.keys(), ...inForce.keys()]);
    const different = [...keys].filter((key) => announced.get(key) !== inForce.get(key));
    for (const key of different) {
      const [kind = "", name = ""] = key.split(".").slice(1);
      await transaction(db, async (tx) => {
        await lockDefinition(tx, kind, name);
        await enqueue(tx, [announcement(service, kind, name, await selectCurrent(tx, kind, name))]);
      });
    }
    if (different.length > 0) outbox.poke();
  }
}

/** @throws {AppError} `invalid` when the body is not of the kind's schema */
export function readRow(kind: DefinitionKind, row: DefinitionRow): StoredDefinition {
  const action = `read version ${row.version} of the ${row.kind} "${row.name}"`;
  return { ...toStored(row), body: parseWith(kind.body, row.body, action) };
}
