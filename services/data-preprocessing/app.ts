/** Wires the rooms of data-preprocessing; also the door that its tests use. @module */
import type { z } from "zod";
import { call } from "shared/bus/call.ts";
import { createConsumer } from "shared/bus/consumer.ts";
import { createDeadLetterEndpoints } from "shared/bus/dead_letter_endpoints.ts";
import { createProjectClocks } from "shared/bus/project_clocks.ts";
import { type CleaningBody, cleaningBodySchema } from "shared/contracts/cleaning.ts";
import { storedEvents } from "shared/contracts/data_ingestion.ts";
import * as contract from "shared/contracts/data_preprocessing.ts";
import { STREAM } from "shared/contracts/streams.ts";
import { createOutbox } from "shared/db/outbox.ts";
import { createDefinitions } from "shared/definitions/definitions.ts";
import { createPrivacy } from "shared/privacy.ts";
import type { ServiceApp, ServiceDeps } from "shared/service.ts";
import { block, blocksPage, requestRelease } from "./blocks.ts";
import { checkEnrichments } from "./check_enrichments.ts";
import { createCleanings } from "./cleanings.ts";
import type { configSchema } from "./config.ts";
import { compileAccepted, compileOffered } from "./compile_cleanings.ts";
import { compileWindowRules } from "./domain/windows/rules.ts";
import { createEndpoints } from "./endpoints.ts";
import { addRoutes } from "./http.ts";
import { createIngestedHandler, createReplayHandler } from "./messages.ts";
import { type Batch, preprocess } from "./preprocess.ts";
import { preview } from "./preview.ts";
import { createProfiles } from "./profiles.ts";
import { quarantinedPage } from "./quarantine.ts";
import { redrive } from "./redrive_quarantined.ts";
import { createReleaseWorker } from "./release_worker.ts";
import { readCounts } from "./repository/counts.ts";
import { createMemory } from "./repository/memory.ts";
import { createRetention } from "./retention.ts";
import { createSources } from "./sources.ts";
import { createTurn } from "./taken_in_turn.ts";

const SERVICE = "data-preprocessing";

export function createApp(deps: ServiceDeps<z.infer<typeof configSchema>>): ServiceApp {
  const { bus, db, log, metrics, config } = deps;
  const outbox = createOutbox(db, bus, log);
  const sources = createSources(bus, log);
  const privacy = config.SECRETS_KEY === undefined ? undefined : createPrivacy(config.SECRETS_KEY);
  const compiling = { sources, privacy };
  const definitions = createDefinitions({ db, bus, log, outbox }, {
    service: SERVICE,
    kinds: [{
      kind: "cleaning",
      body: cleaningBodySchema,
      put: contract.putCleaning,
      remove: contract.removeCleaning,
      async check(name, body: CleaningBody) {
        await compileOffered(name, body, compiling);
        compileWindowRules(body);
        await checkEnrichments(body, sources);
      },
    }],
    list: contract.definitions,
  });
  const cleanings = createCleanings({
    current: (source) => definitions.get("cleaning", source),
    version: (source, version) => definitions.version("cleaning", source, version),
    compile: (body) => compileAccepted(body, compiling),
  });
  const pokeOutbox = () => outbox.poke();
  const clocks = createProjectClocks(bus, log);
  const profiles = createProfiles({
    ...{ db, log, clocks, block, pokeOutbox },
    cleaningOf: cleanings.cleaningOf,
    sourceSchema: (source) => sources.all().get(source)?.body.schema,
    progress: () => consumer.progress(),
    settleMs: config.PROFILE_SETTLE_SECONDS * 1_000,
    keepDays: config.PROFILE_DAYS,
  });
  const { observe } = profiles;
  const engine = { db, ...cleanings, observe, pokeOutbox, maxHeldBytes: config.HELD_MAX_BYTES };
  const releases = createReleaseWorker({ ...engine, log, metrics });

  const entityFields = (source: string) => {
    const body = sources.all().get(source)?.body;
    return body?.kind === "entities" ? body.id : undefined;
  };

  let handled = 0;
  const consumer = createConsumer(bus, {
    service: SERVICE,
    stream: STREAM.ingested,
    durable: SERVICE,
    log,
    metrics,
    maxMessages: config.INTAKE_MESSAGES,
    handle: createIngestedHandler({ preprocess: (batches) => preprocessCounted(batches) }),
  });
  // In the order of the stream, on which what a cleaning remembers of earlier records depends.
  const replays = createTurn({
    db,
    log,
    name: "replays",
    instance: config.INSTANCE,
    create: () =>
      createConsumer(bus, {
        service: SERVICE,
        stream: STREAM.replay,
        durable: SERVICE,
        log,
        metrics,
        maxMessages: config.INTAKE_MESSAGES,
        inOrder: true,
        handle: createReplayHandler({ preprocess: (batches) => preprocessCounted(batches, replays.admit) }),
      }),
  });

  async function preprocessCounted(batches: readonly Batch[], admit?: typeof replays.admit) {
    const messages = await preprocess({ ...engine, ...(admit === undefined ? {} : { admit }) }, batches);
    handled += batches.reduce((sum, { events }) => sum + events.length, 0);
    return messages;
  }

  return {
    endpoints: [
      ...definitions.endpoints,
      ...createEndpoints({
        counts: async (request) => ({ sources: await readCounts(db, request) }),
        quarantinedPage: (request) => quarantinedPage(db, request),
        redrive: (request, context) => redrive({ ...engine, entityFields }, request, context),
        preview: (request) =>
          preview({
            current: (source) => definitions.get("cleaning", source),
            compile: (source, body) => compileOffered(source, body, compiling),
            memoryOf: (source) => createMemory(db, { run: "", source }),
            storedEvents: (events) => call(bus, storedEvents, events),
            sources,
          }, request),
        listBlocks: (request) => blocksPage(db, request),
        async releaseBlock(request, context) {
          const reply = await requestRelease(db, request, context);
          releases.poke();
          return reply;
        },
        profiles: async (request) => ({ profiles: await profiles.list(request) }),
      }),
      ...createDeadLetterEndpoints(bus, {
        service: SERVICE,
        list: contract.deadLetters,
        redrive: contract.redriveDead,
        db,
      }),
    ],
    routes: (app) => addRoutes(app, { picture: profiles.picture }),
    parts: [
      sources.part,
      clocks.part,
      definitions.part,
      outbox,
      releases,
      createRetention({ db, log, sources: () => bodiesOf(sources.all()) }, {
        repeatDays: config.REPEAT_DAYS,
        quarantineDays: config.QUARANTINE_DAYS,
        instance: config.INSTANCE,
      }),
      consumer,
      profiles.part,
      replays,
    ],
    stats: async () => ({ lag: await consumer.lag(), deadLetters: consumer.deadLetters(), handled }),
  };
}

function bodiesOf<Body>(definitions: ReadonlyMap<string, { body: Body }>): Map<string, Body> {
  return new Map([...definitions].map(([name, { body }]) => [name, body]));
}
