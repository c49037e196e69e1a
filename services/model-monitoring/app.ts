/** Wires the rooms of model-monitoring; also the door that its tests use. @module */
import type { z } from "zod";
import { createConsumer } from "shared/bus/consumer.ts";
import { createDeadLetterEndpoints } from "shared/bus/dead_letter_endpoints.ts";
import * as contract from "shared/contracts/model_monitoring.ts";
import { STREAM } from "shared/contracts/streams.ts";
import { createOutbox } from "shared/db/outbox.ts";
import { createDailyPartitions } from "shared/db/partitions.ts";
import { createDefinitions } from "shared/definitions/definitions.ts";
import type { ServiceApp, ServiceDeps } from "shared/service.ts";
import type { configSchema } from "./config.ts";
import { createEndpoints } from "./endpoints.ts";
import { createModelHandler, createPredictionHandler } from "./messages.ts";
import { compareShadows, countPredictions, listLogGaps, listWindows, sumLogGaps } from "./repository.ts";
import { measureLogGaps } from "./metrics.ts";
import { recordPredictions, recordReference } from "./record_predictions.ts";

export function createApp(deps: ServiceDeps<z.infer<typeof configSchema>>): ServiceApp {
  const { bus, db, log, metrics, config } = deps;
  const service = "model-monitoring";
  const outbox = createOutbox(db, bus, log);
  const definitions = createDefinitions({ db, bus, log, outbox }, {
    service,
    kinds: [{
      kind: "monitor",
      body: contract.monitorBodySchema,
      put: contract.putMonitor,
      remove: contract.removeMonitor,
    }],
    list: contract.definitions,
  });
  const partitions = createDailyPartitions(db, {
    table: "predictions",
    keepDays: config.RETENTION_DAYS,
    log,
  });
  const monitors = () => definitions.list("monitor");
  const consumerOptions = { service, durable: service, log, metrics };
  measureLogGaps(metrics, () => sumLogGaps(db));
  let handled = 0;
  const models = createConsumer(bus, {
    ...consumerOptions,
    stream: STREAM.models,
    handle: createModelHandler({
      db,
      record: (tx, registered) => recordReference(tx, registered, monitors()),
      recorded: outbox.poke,
    }),
  });
  const predictions = createConsumer(bus, {
    ...consumerOptions,
    stream: STREAM.predictions,
    handle: createPredictionHandler({
      db,
      ensurePartitions: partitions.ensure,
      record: (tx, logged) => recordPredictions(tx, logged, monitors()),
      recorded(events) {
        outbox.poke();
        handled += events;
      },
    }),
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
        listWindows: (request) => listWindows(db, request),
        countPredictions: () => countPredictions(db),
        listLogGaps: (request) => listLogGaps(db, request),
        compareShadows: (request) => compareShadows(db, request),
      }),
    ],
    parts: [definitions.part, outbox, partitions, models, predictions],
    stats: async () => ({
      lag: await predictions.lag() + await models.lag(),
      deadLetters: predictions.deadLetters() + models.deadLetters(),
      handled,
    }),
  };
}
