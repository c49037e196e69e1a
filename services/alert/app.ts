/** Wires the rooms of the alert service; also the door that its tests use. @module */
import type { z } from "zod";
import { createConsumer } from "shared/bus/consumer.ts";
import { createDeadLetterEndpoints } from "shared/bus/dead_letter_endpoints.ts";
import * as contract from "shared/contracts/alert.ts";
import { STREAM } from "shared/contracts/streams.ts";
import { transaction } from "shared/db/connection.ts";
import { createOutbox } from "shared/db/outbox.ts";
import { createDefinitions } from "shared/definitions/definitions.ts";
import type { ServiceApp, ServiceDeps } from "shared/service.ts";
import type { configSchema } from "./config.ts";
import { createEndpoints } from "./endpoints.ts";
import { judgeSignals } from "./judge_signals.ts";
import { createSignalHandler } from "./messages.ts";
import { countFiring, listAlerts } from "./repository.ts";

export function createApp(deps: ServiceDeps<z.infer<typeof configSchema>>): ServiceApp {
  const { bus, db, log, metrics } = deps;
  const outbox = createOutbox(db, bus, log);
  const definitions = createDefinitions({ db, bus, log, outbox }, {
    service: "alert",
    kinds: [{
      kind: "alert-rule",
      body: contract.alertRuleBodySchema,
      put: contract.putAlertRule,
      remove: contract.removeAlertRule,
    }],
    list: contract.definitions,
  });
  let handled = 0;
  const consumer = createConsumer(bus, {
    service: "alert",
    stream: STREAM.signals,
    durable: "alert",
    log,
    metrics,
    handle: createSignalHandler({
      async judge(events) {
        await transaction(db, (tx) => judgeSignals(tx, events, definitions.list("alert-rule")));
        outbox.poke();
        handled += events.length;
      },
    }),
  });
  return {
    endpoints: [
      ...definitions.endpoints,
      ...createDeadLetterEndpoints(bus, {
        service: "alert",
        list: contract.deadLetters,
        redrive: contract.redriveDead,
        db,
      }),
      ...createEndpoints({ listAlerts: (request) => listAlerts(db, request) }),
    ],
    parts: [definitions.part, outbox, consumer],
    stats: async () => ({
      lag: await consumer.lag(),
      deadLetters: consumer.deadLetters(),
      handled,
      firing: await countFiring(db),
    }),
  };
}
