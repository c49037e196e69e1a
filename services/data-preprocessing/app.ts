/** Wires the rooms of data-preprocessing; also the door that its tests use. @module */
import type { z } from "zod";
import { createConsumer } from "shared/bus/consumer.ts";
import * as contract from "shared/contracts/data_preprocessing.ts";
import { STREAM } from "shared/contracts/streams.ts";
import { createOutbox } from "shared/db/outbox.ts";
import { createDefinitions } from "shared/definitions/definitions.ts";
import type { ServiceApp, ServiceDeps } from "shared/service.ts";
import { createCleanings } from "./cleanings.ts";
import type { configSchema } from "./config.ts";
import { compileCleaning } from "./domain/cleaning.ts";
import { createEndpoints } from "./endpoints.ts";
import { createIngestedHandler } from "./messages.ts";
import { preprocess } from "./preprocess.ts";
import { quarantinedPage } from "./quarantine.ts";
import { readCounts } from "./repository.ts";

const SERVICE = "data-preprocessing";

export function createApp(deps: ServiceDeps<z.infer<typeof configSchema>>): ServiceApp {
  const { bus, db, log, metrics, config } = deps;
  const outbox = createOutbox(db, bus, log);
  const definitions = createDefinitions({ db, bus, log, outbox }, {
    service: SERVICE,
    kinds: [{
      kind: "cleaning",
      body: contract.cleaningBodySchema,
      put: contract.putCleaning,
      remove: contract.removeCleaning,
      check(_name, body: contract.CleaningBody) {
        compileCleaning(body);
      },
    }],
    list: contract.definitions,
  });
  const cleanings = createCleanings({
    current: (source) => definitions.get("cleaning", source),
    version: (source, version) => definitions.version("cleaning", source, version),
  });
  let handled = 0;
  const consumer = createConsumer(bus, {
    service: SERVICE,
    stream: STREAM.ingested,
    durable: SERVICE,
    log,
    metrics,
    maxMessages: config.INTAKE_MESSAGES,
    handle: createIngestedHandler({
      async preprocess(batches) {
        const messages = await preprocess({ db, ...cleanings }, batches);
        handled += batches.reduce((sum, { events }) => sum + events.length, 0);
        return messages;
      },
    }),
  });
  return {
    endpoints: [
      ...definitions.endpoints,
      ...createEndpoints({
        counts: (source) => readCounts(db, source),
        quarantinedPage: (request) => quarantinedPage(db, request),
      }),
    ],
    parts: [definitions.part, outbox, consumer],
    stats: async () => ({ lag: await consumer.lag(), deadLetters: consumer.deadLetters(), handled }),
  };
}
