/** The definitions that this service owns: entities, views, feature services, labels of models. @module */
import type { Bus } from "shared/bus/connection.ts";
import type { StoredDefinition } from "shared/contracts/definition.ts";
import * as contract from "shared/contracts/feature_store.ts";
import type { Database, Transaction } from "shared/db/connection.ts";
import type { Outbox } from "shared/db/outbox.ts";
import { repeatDefinition } from "shared/definitions/change.ts";
import { createDefinitions } from "shared/definitions/definitions.ts";
import { AppError, conflict } from "shared/errors.ts";
import type { Logger } from "shared/log.ts";
import { checkFeatureService, checkView } from "./domain/check_definitions.ts";
import { checkLabel } from "./domain/check_observation.ts";
import { splitReference, viewsReadBy } from "./domain/feature_order.ts";
import { readBodies } from "./repository/current_definitions.ts";
import { pinViews, readServicesOver } from "./repository/service_views.ts";
import { addViewVersion, endRecords, retireView } from "./repository/view_versions.ts";

export function createFeatureDefinitions(deps: { db: Database; bus: Bus; log: Logger; outbox: Outbox }) {
  return createDefinitions(deps, {
    service: "feature-store",
    kinds: [
      {
        kind: "entity",
        body: contract.entityBodySchema,
        put: contract.putEntity,
        remove: contract.removeEntity,
        async afterRemove(name: string, tx: Transaction) {
          await refuseDescribed(name, tx);
          await endRecords(tx, name);
        },
      },
      {
        kind: "view",
        body: contract.viewBodySchema,
        put: contract.putView,
        remove: contract.removeView,
        async check(name: string, body: contract.ViewBody, tx: Transaction) {
          const entities = await readBodies(tx, "entity", [body.entity]);
          const views = await readViews(tx);
          checkView(name, body, { hasEntity: entities.has(body.entity), views });
        },
        affects: ["feature-service"],
        async afterPut(view: StoredDefinition<contract.ViewBody>, tx: Transaction) {
          await addViewVersion(tx, view);
          for (const service of await readServicesOver(tx, view.name)) await remake(tx, service, view.actor);
        },
        async afterRemove(name: string, tx: Transaction) {
          await refuseRead(name, tx);
          await retireView(tx, name);
        },
      },
      {
        kind: "feature-service",
        body: contract.featureServiceBodySchema,
        put: contract.putFeatureService,
        remove: contract.removeFeatureService,
        async check(name: string, body: contract.FeatureServiceBody, tx: Transaction) {
          checkFeatureService(name, body, await readViews(tx));
        },
        afterPut: pin,
      },
      {
        kind: "label",
        body: contract.modelLabelBodySchema,
        put: contract.putLabel,
        remove: contract.removeLabel,
        async check(name: string, body: contract.ModelLabelBody, tx: Transaction) {
          const entities = await readBodies(tx, "entity", [body.entity]);
          checkLabel(name, body, { hasEntity: entities.has(body.entity), views: await readViews(tx) });
        },
      },
    ],
    list: contract.definitions,
  });
}

/** An entity goes after all that is said of it. @throws {AppError} `conflict` */
async function refuseDescribed(entity: string, tx: Transaction): Promise<void> {
  const users: string[] = [];
  for (const kind of ["view", "label"]) {
    for (const [name, body] of await readBodies(tx, kind)) {
      if ((body as { entity: string }).entity === entity) users.push(`the ${kind} "${name}"`);
    }
  }
  if (users.length === 0) return;
  throw conflict(`Cannot remove the entity "${entity}": ${users.join(", ")} must be removed first`);
}

/** A view goes after the feature services over it. @throws {AppError} `conflict` */
async function refuseRead(view: string, tx: Transaction): Promise<void> {
  const services = await readServicesOver(tx, view);
  if (services.length === 0) return;
  const users = services.map((name) => `the feature service "${name}"`).join(", ");
  throw conflict(`Cannot remove the view "${view}": ${users} must be removed first`);
}

/** A version of a feature service stays with the versions of views in force now. */
async function pin(service: StoredDefinition<contract.FeatureServiceBody>, tx: Transaction): Promise<void> {
  const { name, version, body } = service;
  const bodies = await readViews(tx);
  const views = new Set(body.features.map((reference) => splitReference(reference)[0]));
  // What is added is looked at too: views may read others that read others.
  for (const view of views) for (const read of viewsReadBy(view, bodies.get(view)!)) views.add(read);
  await pinViews(tx, { service: name, version, views: [...views] });
}

/** A feature service over a view that changed. Where it no longer fits the view it stays with the version before. */
async function remake(tx: Transaction, name: string, actor: string): Promise<void> {
  const body = contract.featureServiceBodySchema.parse(
    (await readBodies(tx, "feature-service", [name])).get(name),
  );
  try {
    checkFeatureService(name, body, await readViews(tx));
  } catch (error) {
    if (error instanceof AppError && error.code === "invalid") return;
    throw error;
  }
  const service = { service: "feature-store", kind: "feature-service", name, actor };
  const made = await repeatDefinition(tx, service);
  if (made !== undefined) await pin({ ...made, body }, tx);
}

/** The views in force. */
async function readViews(tx: Transaction): Promise<Map<string, contract.ViewBody>> {
  const bodies = await readBodies(tx, "view");
  return new Map([...bodies].map(([name, body]) => [name, contract.viewBodySchema.parse(body)]));
}
