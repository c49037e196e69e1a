/** The definitions of a training set as data, which goes to other threads. @module */
import type { StoredDefinition } from "shared/contracts/definition.ts";
import type { EntityBody, FeatureServiceBody, ViewBody } from "shared/contracts/feature_store.ts";
import type { Definitions } from "./catalog.ts";
import type { TrainingSetRequest } from "./repository/training_sets.ts";
import { recordsOnly } from "./view_catalog.ts";

/** The definitions that a training set may need. */
export interface DefinitionsData {
  entities: StoredDefinition<EntityBody>[];
  views: StoredDefinition<ViewBody>[];
  /** The versions of views that the feature service was made with. */
  pinned: StoredDefinition<ViewBody>[];
  featureServices: StoredDefinition<FeatureServiceBody>[];
}

export async function toData(
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

export function fromData({ entities, views, pinned, featureServices }: DefinitionsData): Definitions {
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
