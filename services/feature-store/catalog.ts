/** The definitions in force, as the use cases of this service ask for them. @module */
import type { StoredDefinition } from "shared/contracts/definition.ts";
import type { KeyType } from "shared/contracts/entity_key.ts";
import type { EntityBody, FeatureServiceBody, ViewBody } from "shared/contracts/feature_store.ts";
import { invalid, notFound } from "shared/errors.ts";
import { splitReference, viewsReadBy } from "./domain/feature_order.ts";
import { type FeaturePlan, planFeatures } from "./domain/feature_plan.ts";

/** Where definitions are found; `undefined` when there is none. */
export interface Definitions {
  entity(name: string): Promise<StoredDefinition<EntityBody> | undefined>;
  view(name: string): Promise<StoredDefinition<ViewBody> | undefined>;
  views(): readonly StoredDefinition<ViewBody>[];
  /** @param version default: the newest */
  featureService(name: string, version?: number): Promise<StoredDefinition<FeatureServiceBody> | undefined>;
}

/** Features as a caller asks for them: by the service that lists them, or one by one. */
export type FeatureSelection = { service: string; version?: number | undefined } | readonly string[];

/** What was asked for, found and compiled. */
export interface AskedFeatures {
  plan: FeaturePlan;
  /** The version of the feature service; null when features were named one by one. */
  version: number | null;
  /** The project whose clock is meant when no T is given: that of the service, or of the first view. */
  project: string;
  /** The key parts of the entities that the views describe. */
  keysOf: ReadonlyMap<string, Readonly<Record<string, KeyType>>>;
}

/**
 * Finds and compiles features.
 *
 * @throws {AppError} `not_found` when a service, view or entity is not there, `invalid` when a feature is not
 */
export async function findFeatures(
  definitions: Definitions,
  asked: FeatureSelection,
): Promise<AskedFeatures> {
  const service = "service" in asked ? await findService(definitions, asked) : undefined;
  const references = "service" in asked ? service!.body.features : asked;

  const names = [...new Set(references.map((reference) => splitReference(reference)[0]))];
  const views = new Map<string, StoredDefinition<ViewBody>>();
  for (let missing = names; missing.length > 0;) {
    for (const name of missing) {
      const view = await definitions.view(name);
      if (view === undefined) throw notFound(`Cannot read features: there is no view "${name}"`);
      views.set(name, view);
    }
    const read = missing.flatMap((name) => viewsReadBy(name, views.get(name)!.body));
    missing = [...new Set(read)].filter((name) => !views.has(name));
  }
  const keysOf = new Map<string, EntityBody["keys"]>();
  for (const { body } of views.values()) {
    keysOf.set(body.entity, (await findEntity(definitions, body.entity)).keys);
  }
  return {
    plan: planFeatures(references, (name) => views.get(name)!),
    version: service?.version ?? null,
    project: service?.project ?? views.get(names[0]!)!.project,
    keysOf,
  };
}

/** @throws {AppError} `not_found` */
export async function findEntity(definitions: Definitions, name: string): Promise<EntityBody> {
  const entity = await definitions.entity(name);
  if (entity === undefined) throw notFound(`Cannot read features: there is no entity "${name}"`);
  return entity.body;
}

async function findService(
  definitions: Definitions,
  { service: name, version }: { service: string; version?: number | undefined },
): Promise<StoredDefinition<FeatureServiceBody>> {
  const service = await definitions.featureService(name, version);
  if (service !== undefined) return service;
  const which = version === undefined ? `"${name}"` : `"${name}" in version ${version}`;
  throw notFound(`Cannot read features: there is no feature service ${which}`);
}

/** Selections that are asked for again and again are compiled once, until a definition changes. */
export interface FeatureCache {
  find(asked: FeatureSelection): Promise<AskedFeatures>;
  clear(): void;
}

/** Callers may name any features; what they name is not kept without bound. */
const MAX_CACHED = 1_000;

export function createFeatureCache(definitions: Definitions): FeatureCache {
  const found = new Map<string, Promise<AskedFeatures>>();
  return {
    find(asked) {
      const key = JSON.stringify(asked);
      const known = found.get(key);
      if (known !== undefined) return known;
      const fresh = findFeatures(definitions, asked);
      if (found.size >= MAX_CACHED) found.clear();
      found.set(key, fresh);
      // A failure is not kept: what is missing may be defined a moment later.
      fresh.catch(() => found.get(key) === fresh && found.delete(key));
      return fresh;
    },
    clear: () => found.clear(),
  };
}

/** @throws {AppError} `invalid`, naming the entity's key parts */
export function wrongEntity(entity: string, keys: Readonly<Record<string, KeyType>>, given: unknown): Error {
  const parts = Object.entries(keys).map(([name, type]) => `${name} (${type})`).join(", ");
  return invalid(
    `Cannot read features: ${
      JSON.stringify(given)
    } does not name the entity "${entity}", whose key is ${parts}`,
  );
}
