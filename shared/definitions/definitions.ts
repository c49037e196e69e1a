/**
 * The definitions that a service owns: kept in its database with every older version, changed through the endpoints
 * of shared/contracts/definition.ts, and told to everybody by the `definitions` bucket, through the outbox.
 *
 * Every copy of the service keeps those in force in memory, fresh by the bucket.
 *
 * @module
 */
import type { z } from "zod";
import type { Bus } from "../bus/connection.ts";
import type { listDefinitions, StoredDefinition } from "../contracts/definition.ts";
import { bind, type BoundEndpoint, type CallContext } from "../contracts/endpoint.ts";
import type { Database } from "../db/connection.ts";
import type { Outbox } from "../db/outbox.ts";
import { messageOf } from "../errors.ts";
import type { Part } from "../lifecycle.ts";
import type { Logger } from "../log.ts";
import { type ChangeListener, DefinitionCache } from "./cache.ts";
import { putDefinition, removeDefinition, toStored } from "./change.ts";
import type { DefinitionKind } from "./kind.ts";
import { createMirror, readRow } from "./mirror.ts";
import { selectAllCurrent, selectCurrent, selectVersion } from "./table.ts";

export type { ChangeListener, DefinitionChange } from "./cache.ts";
export type { DefinitionKind } from "./kind.ts";

export interface DefinitionsDeps {
  db: Database;
  bus: Bus;
  log: Logger;
  outbox: Pick<Outbox, "poke">;
}

export interface DefinitionsOptions<Kinds extends readonly DefinitionKind[]> {
  /** The owner, first token of the keys in the bucket. */
  service: string;
  kinds: Kinds;
  list: ReturnType<typeof listDefinitions>;
}

type KindName<Kinds extends readonly DefinitionKind[]> = Kinds[number]["kind"];

/** A definition of the kind, with the body that the kind's schema gives. */
export type DefinitionOf<Kinds extends readonly DefinitionKind[], Kind extends KindName<Kinds>> =
  StoredDefinition<z.output<Extract<Kinds[number], { kind: Kind }>["body"]>>;

export interface Definitions<Kinds extends readonly DefinitionKind[]> {
  /** Put and remove of each kind, and the list. */
  endpoints: readonly BoundEndpoint[];
  /** Loads the definitions, then follows the bucket. Comes before the parts that use definitions. */
  part: Part;
  /** The definition in force, from memory; else from the table, since a message can be faster than the bucket. */
  get<Kind extends KindName<Kinds>>(
    kind: Kind,
    name: string,
  ): Promise<DefinitionOf<Kinds, Kind> | undefined>;
  /** The definitions in force, from memory, by name. */
  list<Kind extends KindName<Kinds>>(kind: Kind): readonly DefinitionOf<Kinds, Kind>[];
  /** A version from the table, in force or not. */
  version<Kind extends KindName<Kinds>>(
    kind: Kind,
    name: string,
    version: number,
  ): Promise<DefinitionOf<Kinds, Kind> | undefined>;
  /** Tells of each definition in memory that appears, changes or goes, those loaded at the start included. */
  onChange(listener: ChangeListener): void;
}

export function createDefinitions<const Kinds extends readonly DefinitionKind[]>(
  deps: DefinitionsDeps,
  options: DefinitionsOptions<Kinds>,
): Definitions<Kinds> {
  const { db, log, outbox } = deps;
  const { service } = options;
  const kinds = new Map<string, DefinitionKind>(options.kinds.map((kind) => [kind.kind, kind]));
  const cache = new DefinitionCache();
  const mirror = createMirror({ ...deps, cache }, { service, kinds });

  return {
    endpoints: [
      ...options.kinds.flatMap(endpointsOf),
      bind(options.list, async ({ project }) => ({
        definitions: (await selectAllCurrent(db, project)).map(toStored),
      })),
    ],
    part: mirror.part,
    // The kind's name ties the type of the body to the schema that made it.
    get: (kind, name) => find(kind, name) as Promise<undefined>,
    list: (kind) => cache.list(kind) as [],
    version: (kind, name, version) => findVersion(kind, name, version) as Promise<undefined>,
    onChange: (listener) => cache.onChange(listener),
  };

  function endpointsOf(kind: DefinitionKind): BoundEndpoint[] {
    return [
      {
        endpoint: kind.put,
        async handler(request: Parameters<typeof putDefinition>[2], context: CallContext) {
          const reply = await putDefinition({ db, service }, kind, request, context);
          await changed(kind, request.name);
          return reply;
        },
      },
      {
        endpoint: kind.remove,
        async handler(request: Parameters<typeof removeDefinition>[2], context: CallContext) {
          const reply = await removeDefinition({ db, service }, kind, request, context);
          await changed(kind, request.name);
          return reply;
        },
      },
    ];
  }

  async function changed({ kind, affects = [] }: DefinitionKind, name: string): Promise<void> {
    outbox.poke();
    try {
      await mirror.refresh(kind, name);
      for (const other of affects) {
        for (const { name } of cache.list(other)) await mirror.refresh(other, name);
      }
    } catch (error) {
      // The change is made, and the bucket will tell of it.
      log.warn({ err: error, kind, definition: name }, `Cannot read a definition again: ${messageOf(error)}`);
    }
  }

  async function find(kind: string, name: string): Promise<StoredDefinition | undefined> {
    const known = cache.get(kind, name);
    if (known !== undefined) return known;
    const row = await selectCurrent(db, kind, name);
    if (row === undefined) return undefined;
    await mirror.refresh(kind, name);
    return cache.get(kind, name);
  }

  async function findVersion(
    kind: string,
    name: string,
    version: number,
  ): Promise<StoredDefinition | undefined> {
    const row = await selectVersion(db, { kind, name, version });
    return row && readRow(kinds.get(kind)!, row);
  }
}
