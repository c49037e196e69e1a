/** Wires the rooms of data-ingestion; also the door that its tests use. @module */
import type { z } from "zod";
import { createConsumer } from "shared/bus/consumer.ts";
import { publishAll } from "shared/bus/publisher.ts";
import * as contract from "shared/contracts/data_ingestion.ts";
import { STREAM } from "shared/contracts/streams.ts";
import { createOutbox, enqueue } from "shared/db/outbox.ts";
import { createDailyPartitions } from "shared/db/partitions.ts";
import { createDefinitions } from "shared/definitions/definitions.ts";
import type { ServiceApp, ServiceDeps } from "shared/service.ts";
import { createClockPublisher } from "./clocks.ts";
import type { configSchema } from "./config.ts";
import { compileSource, type Source } from "./domain/source.ts";
import { createEndpoints } from "./endpoints.ts";
import { addRoutes, BODY_LIMITS } from "./http.ts";
import { type Delivery, ingest, type IngestDeps, type IngestOptions } from "./ingest.ts";
import { ledgerRows } from "./ledger.ts";
import { createEventsHandler } from "./messages.ts";
import { rejectedPage } from "./rejected.ts";
import { storeEvent, type StoreRequest } from "./store.ts";

const SERVICE = "data-ingestion";

export function createApp(deps: ServiceDeps<z.infer<typeof configSchema>>): ServiceApp {
  const { bus, db, log, metrics, config } = deps;
  const outbox = createOutbox(db, bus, log);
  const definitions = createDefinitions({ db, bus, log, outbox }, {
    service: SERVICE,
    kinds: [
      {
        kind: "project",
        body: contract.projectBodySchema,
        put: contract.putProject,
        remove: contract.removeProject,
      },
      {
        kind: "source",
        body: contract.sourceBodySchema,
        put: contract.putSource,
        remove: contract.removeSource,
        check(name, body: contract.SourceBody) {
          compileSource({ name, project: "", version: 1, body });
        },
      },
    ],
    list: contract.definitions,
  });
  const partitions = createDailyPartitions(db, { table: "events", keepDays: config.KEEP_DAYS, log });

  const compiled = new Map<string, Source>();
  const findSource = async (name: string): Promise<Source | undefined> => {
    const definition = await definitions.get("source", name);
    if (definition === undefined) return undefined;
    const known = compiled.get(name);
    if (known?.version === definition.version) return known;
    const source = compileSource(definition);
    compiled.set(name, source);
    return source;
  };

  const clockKind = async (project: string) =>
    (await definitions.get("project", project))?.body.clock ?? "wall";
  const clocks = createClockPublisher({
    db,
    bus,
    log,
    clockKind,
    projects: () => definitions.list("project").map(({ name }) => name),
  });
  definitions.onChange(({ kind, name }) => {
    if (kind === "project") clocks.poke([name]);
  });

  const ingestDeps: IngestDeps = {
    db,
    partitions,
    async sources(names) {
      const found = await Promise.all([...names].map(findSource));
      return new Map(found.flatMap((source) => source === undefined ? [] : [[source.name, source]]));
    },
    clockKind,
    onClocks: (projects) => clocks.poke(projects),
    maxRecordBytes: config.MAX_RECORD_BYTES,
  };
  let handled = 0;
  const take = async (messages: readonly Delivery[], options: IngestOptions = {}) => {
    const ingested = await ingest(ingestDeps, messages, options);
    handled += ingested.accepted.length + ingested.refused.length + ingested.repeated.length;
    return ingested;
  };
  const store = async (request: StoreRequest) => {
    const result = await storeEvent({ ingest: (messages) => take(messages, { enqueue }) }, request);
    outbox.poke();
    return result;
  };

  const consumer = createConsumer(bus, {
    service: SERVICE,
    stream: STREAM.events,
    durable: SERVICE,
    log,
    metrics,
    maxMessages: config.INTAKE_MESSAGES,
    handle: createEventsHandler({ ingest: take }),
  });

  return {
    endpoints: [
      ...definitions.endpoints,
      ...createEndpoints({
        store,
        ledgerRows: () => ledgerRows({ db, bus }),
        rejectedPage: (request) => rejectedPage(db, request),
      }),
    ],
    routes: (app) => addRoutes(app, { store, publish: (messages) => publishAll(bus, messages) }),
    bodyLimits: BODY_LIMITS,
    parts: [definitions.part, outbox, partitions, clocks, consumer],
    stats: async () => ({ lag: await consumer.lag(), deadLetters: consumer.deadLetters(), handled }),
  };
}
