/** Asking for a training set. @module */
import { v7 as uuidv7 } from "uuid";
import type { CallContext, RequestOf } from "shared/contracts/endpoint.ts";
import { buildTrainingSet } from "shared/contracts/feature_store.ts";
import { toInstant } from "shared/contracts/time.ts";
import type { Database } from "shared/db/connection.ts";
import { once } from "shared/db/idempotency.ts";
import type { Definitions } from "./catalog.ts";
import type { Clocks } from "./clocks.ts";
import { queueTrainingSet, type TrainingSetRequest } from "./repository/training_sets.ts";
import { planTrainingSet } from "./training_set_plan.ts";

export interface RequestDeps {
  db: Database;
  definitions: Definitions;
  clocks: Pick<Clocks, "now">;
  /** Tells the builder that a training set waits. */
  pokeBuilder: () => void;
}

/**
 * Queues a training set, with the clock and the version of the feature service as they stand now.
 *
 * @throws {AppError} `not_found` or `invalid` when it could not be built as it is asked for
 */
export async function requestTrainingSet(
  { db, definitions, clocks, pokeBuilder }: RequestDeps,
  request: RequestOf<typeof buildTrainingSet>,
  context: CallContext,
): Promise<{ id: string }> {
  const { project, entity, featureService, spine, label, from = null, to = null } = request;
  const { features } = await planTrainingSet(definitions, request);
  const job: TrainingSetRequest = {
    project,
    entity,
    featureService: { name: featureService.name, version: features.version! },
    spine,
    label,
    from,
    to,
    clock: toInstant(clocks.now(project)),
  };
  const reply = await once(db, context, { endpoint: buildTrainingSet.subject, request }, async (tx) => {
    const id = uuidv7();
    await queueTrainingSet(tx, { id, request: job, actor: context.actor });
    return { id };
  });
  pokeBuilder();
  return reply;
}
