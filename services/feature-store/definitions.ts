/** The definitions that this service owns: entities, views, feature services, labels of models. @module */
import type { Bus } from "shared/bus/connection.ts";
import * as contract from "shared/contracts/feature_store.ts";
import type { Database, Transaction } from "shared/db/connection.ts";
import type { Outbox } from "shared/db/outbox.ts";
import { createDefinitions } from "shared/definitions/definitions.ts";
import type { Logger } from "shared/log.ts";
import { checkFeatureService, checkView } from "./domain/check_definitions.ts";
import { checkLabel } from "./domain/check_observation.ts";
import { readBodies } from "./repository/current_definitions.ts";

export function createFeatureDefinitions(deps: { db: Database; bus: Bus; log: Logger; outbox: Outbox }) {
  return createDefinitions(deps, {
    service: "feature-store",
    kinds: [
      {
        kind: "entity",
        body: contract.entityBodySchema,
        put: contract.putEntity,
        remove: contract.removeEntity,
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
      },
      {
        kind: "feature-service",
        body: contract.featureServiceBodySchema,
        put: contract.putFeatureService,
        remove: contract.removeFeatureService,
        async check(name: string, body: contract.FeatureServiceBody, tx: Transaction) {
          checkFeatureService(name, body, await readViews(tx));
        },
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

/** The views in force. */
async function readViews(tx: Transaction): Promise<Map<string, contract.ViewBody>> {
  const bodies = await readBodies(tx, "view");
  return new Map([...bodies].map(([name, body]) => [name, contract.viewBodySchema.parse(body)]));
}
