/** Asking for a training set. @module */
import { v7 as uuidv7 } from "uuid";
import type { Bus } from "shared/bus/connection.ts";
import type { FileStore } from "shared/bus/files.ts";
import type { CallContext, RequestOf } from "shared/contracts/endpoint.ts";
import { buildTrainingSet } from "shared/contracts/feature_store.ts";
import { type Instant, toInstant } from "shared/contracts/time.ts";
import type { Database } from "shared/db/connection.ts";
import { answered, once } from "shared/db/idempotency.ts";
import { notFound } from "shared/errors.ts";
import { reachOf, refuseBlocked } from "./blocked_sources.ts";
import type { Definitions } from "./catalog.ts";
import type { FeatureClock } from "./feature_clock.ts";
import { lastTime } from "./domain/given_rows.ts";
import { queueTrainingSet, type TrainingSetRequest } from "./repository/training_sets.ts";
import { readGivenSpine } from "./spine_file.ts";
import { columnsOf, isGiven, planTrainingSet, type TrainingSetPlan } from "./training_set_plan.ts";

export interface RequestDeps {
  bus: Bus;
  db: Database;
  definitions: Definitions;
  clock: FeatureClock;
  /** Tells the builder that a training set waits. */
  pokeBuilder: () => void;
}

/**
 * Queues a training set, with the clock and the version of the feature service as they stand now.
 *
 * @throws {AppError} `not_found` or `invalid` when it could not be built as it is asked for, `conflict` when a source
 * of it is held
 */
export async function requestTrainingSet(
  { bus, db, definitions, clock, pokeBuilder }: RequestDeps,
  request: RequestOf<typeof buildTrainingSet>,
  context: CallContext,
): Promise<{ id: string }> {
  const call = { endpoint: buildTrainingSet.subject, request };
  // What was accepted stays so, whatever is held or removed by now.
  const earlier = await answered<{ id: string }>(db, context, call);
  if (earlier !== undefined) return earlier;
  const { project, entity, featureService, spine, immature, asKnown } = request;
  const { label = null, from = null, to = null } = request;
  const plan = await planTrainingSet(definitions, { entity, featureService, spine, label, from, to });
  const job: TrainingSetRequest = {
    project,
    entity,
    featureService: { name: featureService.name, version: plan.features.version! },
    spine,
    label,
    immature,
    asKnown,
    from,
    to,
    // The clock that an online read goes by, also where a model of another project is trained.
    clock: toInstant(await clock.now(plan.features.project)),
  };
  const last = await checkSpine({ files: bus.files, plan }, job);
  await refuseBlocked(bus, reachOf(plan.layouts.keys(), { to: last, clock: job.clock, label: plan.label }));
  const reply = await once(db, context, call, async (tx) => {
    const id = uuidv7();
    await queueTrainingSet(tx, { id, request: job, actor: context.actor });
    return { id };
  });
  pokeBuilder();
  return reply;
}

/**
 * Inline rows are read now, so that mistakes are told at once; of a file, which may be large, only that it is there.
 *
 * @returns the last T, null where the clock is the only bound that is known
 */
async function checkSpine(
  { files, plan }: { files: Pick<FileStore, "has">; plan: TrainingSetPlan },
  { entity, spine, label, to, clock }: TrainingSetRequest,
): Promise<Instant | null> {
  if (!isGiven(spine)) return to;
  if ("file" in spine) {
    if (await files.has(spine.file)) return null;
    throw notFound(
      `Cannot build the training set: its spine, the file ${spine.file}, is not in the file store`,
    );
  }
  const rows = await readGivenSpine(spine, {
    entity,
    keys: plan.keys,
    ...columnsOf({ spine, label, features: plan.features }),
    clockMs: Date.parse(clock),
    file: undefined,
  });
  const last = lastTime(rows);
  return last === undefined ? null : toInstant(last);
}
