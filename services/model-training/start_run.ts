/** The use case of asking for a run. @module */
import { v7 as uuidv7 } from "uuid";
import type { CallContext, RequestOf } from "shared/contracts/endpoint.ts";
import * as contract from "shared/contracts/model_training.ts";
import type { Database } from "shared/db/connection.ts";
import { once } from "shared/db/idempotency.ts";
import { notFound } from "shared/errors.ts";
import type { ModelDefinitions } from "./definitions.ts";
import { planRun } from "./domain/plan_run.ts";
import { insertRun } from "./repository/runs.ts";

export interface StartDeps {
  db: Database;
  definitions: ModelDefinitions;
  /** Tells the queue that a run waits. */
  pokeQueue(): void;
}

/**
 * Queues a run of a declared model, as it is defined now.
 *
 * @throws {AppError} `not_found` when there is no such model; `invalid` for what the run replaces
 */
export async function startRun(
  { db, definitions, pokeQueue }: StartDeps,
  request: RequestOf<typeof contract.startRun>,
  context: CallContext,
): Promise<{ id: string }> {
  const { model, reason, ...overrides } = request;
  const definition = await definitions.get("model", model);
  const endpoint = contract.startRun.subject;
  const reply = await once(db, context, { endpoint, request }, async (tx) => {
    // Only now: the same key gets the same answer even when the model is gone.
    if (definition === undefined) throw notFound(`Cannot train "${model}": there is no model of this name`);
    const id = uuidv7();
    await insertRun(tx, {
      id,
      project: definition.project,
      model,
      definition: definition.version,
      spec: planRun(model, definition.body, overrides),
      actor: context.actor,
      reason,
    });
    return { id };
  });
  pokeQueue();
  return reply;
}
