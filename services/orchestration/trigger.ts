/** The use case behind every way to start a pipeline: an alert, a schedule, a person. @module */
import { v7 as uuidv7 } from "uuid";
import type { StoredDefinition } from "shared/contracts/definition.ts";
import type { Handler } from "shared/contracts/endpoint.ts";
import { type PipelineBody, type PipelineRun, startPipelineRun } from "shared/contracts/orchestration.ts";
import { toInstant } from "shared/contracts/time.ts";
import type { Database, Transaction } from "shared/db/connection.ts";
import { once } from "shared/db/idempotency.ts";
import { notFound } from "shared/errors.ts";
import { newRun, type Trigger } from "./domain.ts";
import { findRunByTrigger, insertRun, lastStart, lockPipeline } from "./repository.ts";

export type Pipeline = StoredDefinition<PipelineBody>;

/** Keeps a run for the trigger; the same trigger gives the same run. The leader takes it up from the table. */
export async function triggerPipeline(
  tx: Transaction,
  pipeline: Pipeline,
  trigger: Trigger,
): Promise<PipelineRun> {
  await lockPipeline(tx, pipeline.name);
  const known = await findRunByTrigger(tx, pipeline.name, trigger);
  if (known) return known;
  const run = newRun(pipeline, trigger, {
    id: uuidv7(),
    at: toInstant(Date.now()),
    lastStart: await lastStart(tx, pipeline.name),
  });
  await insertRun(tx, run);
  return run;
}

export interface StartByHandDeps {
  db: Database;
  findPipeline: (name: string) => Promise<Pipeline | undefined>;
  /** Tells the leader that a run waits. */
  wake: () => void;
}

/** A person, or another program, starts a pipeline. */
export function createStartByHand(
  { db, findPipeline, wake }: StartByHandDeps,
): Handler<typeof startPipelineRun> {
  return async (request, context) => {
    const pipeline = await findPipeline(request.pipeline);
    if (!pipeline) throw notFound(`Cannot start the pipeline "${request.pipeline}": it is not declared`);
    const reply = await once(db, context, { endpoint: startPipelineRun.subject, request }, async (tx) => {
      const reference = `${context.actor}/${context.idempotencyKey ?? uuidv7()}`;
      const { id } = await triggerPipeline(tx, pipeline, { kind: "manual", reference });
      return { id };
    });
    wake();
    return reply;
  };
}
