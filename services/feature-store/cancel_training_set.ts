/** Ending a training set that nobody wants any more. @module */
import type { CallContext } from "shared/contracts/endpoint.ts";
import { cancelTrainingSet as contract, type TrainingSetStatus } from "shared/contracts/feature_store.ts";
import type { Database } from "shared/db/connection.ts";
import { once } from "shared/db/idempotency.ts";
import { notFound } from "shared/errors.ts";
import { endUnlessEnded, readTrainingSet } from "./repository/training_sets.ts";

/** Whoever builds it stops when it next renews its lease. @throws {AppError} `not_found` */
export async function cancelTrainingSet(
  db: Database,
  id: string,
  context: CallContext,
): Promise<TrainingSetStatus> {
  return await once(db, context, { endpoint: contract.subject, request: { id } }, async (tx) => {
    await endUnlessEnded(tx, id);
    const status = await readTrainingSet(tx, id);
    if (status === undefined) throw notFound(`Cannot cancel the training set ${id}: there is none`);
    return status;
  });
}
