/** The definitions in force, as the use cases of this service ask for them. @module */
import type { StoredDefinition } from "shared/contracts/definition.ts";
import type { KeyType } from "shared/contracts/entity_key.ts";
import type { EntityBody, FeatureServiceBody, ViewBody } from "shared/contracts/feature_store.ts";
import { type AppError, notFound, unavailable } from "shared/errors.ts";
import { type AskedBuckets, type BucketSource, createBucketQuestion } from "./asked_buckets.ts";
import { orderFeatures, requestReadBy, splitReference, viewsReadBy } from "./domain/feature_order.ts";
import { type FeaturePlan, planFeatures } from "./domain/feature_plan.ts";
import type { ReadNode } from "./repository/insight.ts";
import type { ViewCatalog } from "./view_catalog.ts";

/** Where definitions are found; `undefined` when there is none. */
export interface Definitions {
  entity(name: string): Promise<StoredDefinition<EntityBody> | undefined>;
  /** @param version default: the one in force */
  view(name: string, version?: number): Promise<StoredDefinition<ViewBody> | undefined>;
  views(): readonly StoredDefinition<ViewBody>[];
  /** @param version default: the newest */
  featureService(name: string, version?: number): Promise<StoredDefinition<FeatureServiceBody> | undefined>;
  /** The versions of views that a version of a feature service was made with. */
  pins(name: string, version: number): Promise<ReadonlyMap<string, number>>;
  /** Which versions of views are ready. */
  catalog: ViewCatalog;
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
  /** The buckets that are read at T. */
  bucketsAt: (atMs: number) => AskedBuckets;
  /** What counts as read: the service, or the views that were named. */
  counted: readonly ReadNode[];
  /** The views that a feature is computed from. */
  viewsBehind(feature: string): ReadonlySet<string>;
  /** Whether a feature, or one that it is computed from, reads values of a request. */
  isOnDemand(feature: string): boolean;
}

/**
 * Finds and compiles features. Of a service or a view whose version is not stated, the newest that is filled from history
 * is taken; where none is yet, the newest, which is then answered from the records.
 *
 * @throws {AppError} `not_found` when a service, view or entity is not there, `invalid` when a feature is not,
 * `unavailable` while events that were stored before are made records of a new entity
 */
export async function findFeatures(
  definitions: Definitions,
  asked: FeatureSelection,
): Promise<AskedFeatures> {
  const service = "service" in asked ? await findService(definitions, asked) : undefined;
  const references = service?.body.features ?? (asked as readonly string[]);
  const pins = service && await definitions.pins(service.name, service.version);
  const views = await findViews(definitions, references, pins);

  const keysOf = new Map<string, EntityBody["keys"]>();
  const buckets = new Map<string, BucketSource>();
  for (const { name, version, body } of views.values()) {
    const { entity, source } = body;
    keysOf.set(entity, (await findEntity(definitions, entity)).keys);
    const row = await definitions.catalog.find(name, version);
    if (row?.status === "ready") buckets.set(name, { viewVersion: row.id, intactFromMs: row.intactFromMs });
    if (!definitions.catalog.isFilled(source, entity)) {
      throw unavailable(
        `Cannot read features: the stored events of "${source}" are being made records of "${entity}"`,
        {
          retryAfter: 1,
        },
      );
    }
  }
  const viewOf = (name: string) => views.get(name) ?? raise(noView(name));
  const plan = planFeatures(references, viewOf);
  return {
    plan,
    version: service?.version ?? null,
    project: service?.project ?? views.values().next().value!.project,
    keysOf,
    bucketsAt: createBucketQuestion(plan, buckets),
    counted: service === undefined
      ? [...new Set(references.map((reference) => splitReference(reference)[0]))]
        .map((name) => ({ kind: "view", name }))
      : [{ kind: "service", name: service.name }],
    viewsBehind: (feature) =>
      new Set(orderFeatures([feature], viewOf).map((reference) => splitReference(reference)[0])),
    isOnDemand: (feature) =>
      orderFeatures([feature], viewOf).map(splitReference)
        .some(([view, name]) => requestReadBy(viewOf(view).body.features[name]!).length > 0),
  };
}

/** The views of the features, and those that their expressions read. */
async function findViews(
  definitions: Definitions,
  references: readonly string[],
  pins: ReadonlyMap<string, number> | undefined,
): Promise<Map<string, StoredDefinition<ViewBody>>> {
  const views = new Map<string, StoredDefinition<ViewBody>>();
  const askedOf = Map.groupBy(references.map(splitReference), ([view]) => view);
  for (let missing = [...askedOf.keys()]; missing.length > 0;) {
    for (const name of missing) {
      const features = (askedOf.get(name) ?? []).map(([, feature]) => feature);
      const pinned = pins?.get(name);
      const view = pinned === undefined
        ? await findReady(definitions, name, features)
        : await definitions.view(name, pinned);
      if (view === undefined) throw noView(name);
      views.set(name, view);
    }
    const read = missing.flatMap((name) => viewsReadBy(name, views.get(name)!.body));
    missing = [...new Set(read)].filter((name) => !views.has(name));
  }
  return views;
}

/** The newest version that is ready and has the features, else the one in force. */
async function findReady(
  definitions: Definitions,
  name: string,
  features: readonly string[],
): Promise<StoredDefinition<ViewBody> | undefined> {
  const current = await definitions.view(name);
  if (current === undefined) return undefined;
  await definitions.catalog.find(name, current.version);
  for (const { version } of definitions.catalog.ready(name)) {
    const view = version === current.version ? current : await definitions.view(name, version);
    if (view !== undefined && features.every((feature) => Object.hasOwn(view.body.features, feature))) {
      return view;
    }
  }
  return current;
}

function noView(name: string): AppError {
  return notFound(`Cannot read features: there is no view "${name}"`);
}

function raise(error: Error): never {
  throw error;
}

/** @throws {AppError} `not_found` */
export async function findEntity(
  definitions: Pick<Definitions, "entity">,
  name: string,
): Promise<EntityBody> {
  const entity = await definitions.entity(name);
  if (entity === undefined) throw notFound(`Cannot read features: there is no entity "${name}"`);
  return entity.body;
}

async function findService(
  definitions: Definitions,
  { service: name, version }: { service: string; version?: number | undefined },
): Promise<StoredDefinition<FeatureServiceBody>> {
  const service = await definitions.featureService(name, version);
  if (service === undefined) {
    const which = version === undefined ? `"${name}"` : `"${name}" in version ${version}`;
    throw notFound(`Cannot read features: there is no feature service ${which}`);
  }
  if (version !== undefined || await isReady(definitions, service)) return service;
  // While the newest is filled from history the one before serves.
  for (let older = service.version - 1; older > Math.max(0, service.version - OLDER_VERSIONS); older--) {
    const found = await definitions.featureService(name, older);
    if (found !== undefined && await isReady(definitions, found)) return found;
  }
  return service;
}

/** So many versions of a service are looked at for one that is ready. */
const OLDER_VERSIONS = 5;

async function isReady(
  { pins, catalog }: Definitions,
  { name, version }: StoredDefinition<FeatureServiceBody>,
): Promise<boolean> {
  for (const [view, viewVersion] of await pins(name, version)) {
    if ((await catalog.find(view, viewVersion))?.status !== "ready") return false;
  }
  return true;
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

/** What is wrong with the key that was given for an entity. */
export function whyNoEntity(entity: string, keys: Readonly<Record<string, KeyType>>, given: unknown): string {
  const parts = Object.entries(keys).map(([name, type]) => `${name} (${type})`).join(", ");
  return `is ${JSON.stringify(given)}, which does not name the entity "${entity}", whose key is ${parts}`;
}
