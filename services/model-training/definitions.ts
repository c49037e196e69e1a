/** The definitions that this service owns: models. @module */
import type { Bus } from "shared/bus/connection.ts";
import * as contract from "shared/contracts/model_training.ts";
import type { Database } from "shared/db/connection.ts";
import type { Outbox } from "shared/db/outbox.ts";
import { createDefinitions } from "shared/definitions/definitions.ts";
import type { Logger } from "shared/log.ts";
import { planRun } from "./domain/plan_run.ts";

export type ModelDefinitions = ReturnType<typeof createModelDefinitions>;

export function createModelDefinitions(deps: { db: Database; bus: Bus; log: Logger; outbox: Outbox }) {
  return createDefinitions(deps, {
    service: "model-training",
    kinds: [{
      kind: "model",
      body: contract.modelBodySchema,
      put: contract.putModel,
      remove: contract.removeModel,
      check(name: string, body: contract.ModelBody) {
        planRun(name, body);
      },
    }],
    list: contract.definitions,
  });
}
