/** Wires the rooms of orchestration; also the door that its tests use. @module */
import type { z } from "zod";
import { createConsumer } from "shared/bus/consumer.ts";
import { createDeadLetterEndpoints } from "shared/bus/dead_letter_endpoints.ts";
import * as contract from "shared/contracts/orchestration.ts";
import { STREAM } from "shared/contracts/streams.ts";
import { transaction } from "shared/db/connection.ts";
import { createOutbox } from "shared/db/outbox.ts";
import { createDefinitions } from "shared/definitions/definitions.ts";
import type { ServiceApp, ServiceDeps } from "shared/service.ts";
import type { configSchema } from "./config.ts";
import { createEndpoints } from "./endpoints.ts";
import { createAlertHandler } from "./messages.ts";
import { findRun, listRuns } from "./repository.ts";
import { createRetraining } from "./retraining.ts";
import { createRunner } from "./runner.ts";
import { checkSchedule, createSchedules } from "./schedules.ts";
import { createStartByHand, triggerPipeline } from "./trigger.ts";

export function createApp(deps: ServiceDeps<z.infer<typeof configSchema>>): ServiceApp {
  const { bus, db, log, metrics, config } = deps;
  const service = "orchestration";
  const outbox = createOutbox(db, bus, log);
  const definitions = createDefinitions({ db, bus, log, outbox }, {
    service,
    kinds: [{
      kind: "pipeline",
      body: contract.pipelineBodySchema,
      put: contract.putPipeline,
      remove: contract.removePipeline,
      check: (name, body: contract.PipelineBody) => checkSchedule(name, body.on.schedule),
    }],
    list: contract.definitions,
  });
  const pipelines = () => definitions.list("pipeline");

  const schedules = createSchedules({
    log,
    async start(pipeline, tick) {
      await transaction(db, (tx) => triggerPipeline(tx, pipeline, { kind: "schedule", reference: tick }));
      runner.wake();
    },
  });
  let leads = false;
  const reschedule = () => schedules.set(leads ? pipelines() : []);
  const runner = createRunner({
    db,
    databaseUrl: config.DATABASE_URL,
    log,
    retraining: (stopped) => createRetraining(bus, stopped),
    onLeadership(now) {
      leads = now;
      reschedule();
    },
  });
  definitions.onChange(reschedule);

  const consumer = createConsumer(bus, {
    service,
    stream: STREAM.alerts,
    durable: service,
    log,
    metrics,
    handle: createAlertHandler({ db, pipelines, wake: runner.wake }),
  });
  return {
    endpoints: [
      ...definitions.endpoints,
      ...createDeadLetterEndpoints(bus, {
        service,
        list: contract.deadLetters,
        redrive: contract.redriveDead,
        db,
      }),
      ...createEndpoints({
        startByHand: createStartByHand({
          db,
          findPipeline: (name) => definitions.get("pipeline", name),
          wake: runner.wake,
        }),
        findRun: (id) => findRun(db, id),
        listRuns: (request) => listRuns(db, request),
      }),
    ],
    parts: [definitions.part, outbox, runner, consumer],
    stats: async () => ({ lag: await consumer.lag(), deadLetters: consumer.deadLetters(), leads }),
  };
}
