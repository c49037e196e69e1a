/** The use cases of asking for a run, once more, and no longer. @module */
import { v7 as uuidv7 } from "uuid";
import type { Bus } from "shared/bus/connection.ts";
import type { CallContext, RequestOf } from "shared/contracts/endpoint.ts";
import * as contract from "shared/contracts/model_training.ts";
import type { Database, Transaction } from "shared/db/connection.ts";
import { once } from "shared/db/idempotency.ts";
import { conflict, notFound } from "shared/errors.ts";
import type { Logger } from "shared/log.ts";
import type { ModelDefinitions } from "./definitions.ts";
import type { NewRun } from "./domain/run.ts";
import { planRun } from "./domain/plan_run.ts";
import { findAskedRun } from "./repository/find_runs.ts";
import { appendEvent } from "./repository/run_records.ts";
import { cancelRun as cancelRow, insertRun } from "./repository/runs.ts";
import { publishRunEvent } from "./run_events.ts";

export interface StartDeps {
  db: Database;
  bus: Bus;
  log: Logger;
  definitions: ModelDefinitions;
  /** Tells the queue that a run waits. */
  pokeQueue(): void;
}

/**
 * Queues a run of a declared model, as it is defined now, or of an ad hoc description.
 *
 * @throws {AppError} `not_found` when there is no such model; `invalid` for what the run replaces
 */
export async function startRun(
  deps: StartDeps,
  request: RequestOf<typeof contract.startRun>,
  context: CallContext,
): Promise<{ id: string }> {
  const { model, adHoc, reason, tags, gitRevision = null, ...overrides } = request;
  const definition = model === undefined ? undefined : await deps.definitions.get("model", model);
  return await queue(deps, { endpoint: contract.startRun.subject, request }, context, () => {
    const asked = { reason, gitRevision, actor: context.actor, retryOf: null };
    if (adHoc !== undefined) {
      const { project, ...body } = adHoc;
      const spec = planRun("ad hoc", body, overrides);
      return { ...asked, ...planned(spec, tags), project, model: null, definition: null };
    }
    // Only now: the same key gets the same answer even when the model is gone.
    if (definition === undefined) throw notFound(`Cannot train "${model}": there is no model of this name`);
    const { project, name, version, body } = definition;
    return {
      ...asked,
      ...planned(planRun(name, body, overrides), tags),
      project,
      model: name,
      definition: version,
    };
  });
}

/**
 * Queues a run like one that there was, with what it was asked for then.
 *
 * @throws {AppError} `not_found` when there is no such run; `conflict` for one that was not trained here
 */
export async function retryRun(
  deps: StartDeps,
  request: RequestOf<typeof contract.retryRun>,
  context: CallContext,
): Promise<{ id: string }> {
  const { id, reason } = request;
  return await queue(deps, { endpoint: contract.retryRun.subject, request }, context, async (tx) => {
    const asked = await findAskedRun(tx, id);
    if (asked === undefined) throw notFound(`Cannot retry the run ${id}: there is none`);
    if (asked.spec === null) {
      throw conflict(`Cannot retry the run ${id}: it was ${asked.kind}, only what was trained here can be`);
    }
    const { project, model, definition, spec, tags, gitRevision } = asked;
    return {
      ...planned(spec, tags),
      project,
      model,
      definition,
      gitRevision,
      retryOf: id,
      reason: reason === "" ? `retry of ${id}` : reason,
      actor: context.actor,
    };
  });
}

/**
 * Ends a run that waits or is worked on. One that has ended stays as it is.
 *
 * @throws {AppError} `not_found` when there is no such run
 */
export async function cancelRun(
  deps: StartDeps,
  request: RequestOf<typeof contract.cancelRun>,
  context: CallContext,
): Promise<{ cancelled: boolean }> {
  const { id, reason } = request;
  const by = `Cancelled by ${context.actor}${reason === "" ? "" : `: ${reason}`}`;
  let event: contract.RunEvent | undefined;
  const reply = await once(
    deps.db,
    context,
    { endpoint: contract.cancelRun.subject, request },
    async (tx) => {
      event = undefined;
      if (!await cancelRow(tx, id, by)) {
        if (await findAskedRun(tx, id) === undefined) {
          throw notFound(
            `Cannot cancel the run ${id}: there is none`,
          );
        }
        return { cancelled: false };
      }
      event = await appendEvent(tx, id);
      return { cancelled: true };
    },
  );
  if (event !== undefined) publishRunEvent(deps, event);
  return reply;
}

type Planned = Pick<
  NewRun,
  "kind" | "spec" | "algorithm" | "seed" | "parameters" | "tags" | "trainingSet" | "loggedRun" | "environment"
>;

function planned(spec: contract.ModelBody, tags: Readonly<Record<string, string>>): Planned {
  return {
    kind: "trained",
    spec,
    algorithm: spec.algorithm,
    seed: spec.seed,
    parameters: spec.parameters,
    tags: { ...spec.tags, ...tags },
    trainingSet: null,
    loggedRun: null,
    // Of the copy that will work on it.
    environment: {},
  };
}

async function queue(
  deps: StartDeps,
  call: { endpoint: string; request: unknown },
  context: CallContext,
  plan: (tx: Transaction) => Omit<NewRun, "id"> | Promise<Omit<NewRun, "id">>,
): Promise<{ id: string }> {
  let event: contract.RunEvent | undefined;
  const reply = await once(deps.db, context, call, async (tx) => {
    const id = uuidv7();
    await insertRun(tx, { id, ...await plan(tx) });
    event = await appendEvent(tx, id);
    return { id };
  });
  if (event !== undefined) publishRunEvent(deps, event);
  deps.pokeQueue();
  return reply;
}
