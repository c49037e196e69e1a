/** Wires the rooms of data-ingestion; also the door that its tests use. @module */
import type { z } from "zod";
import { createConsumer } from "shared/bus/consumer.ts";
import { createDeadLetterEndpoints } from "shared/bus/dead_letter_endpoints.ts";
import { type Outgoing, publishAll } from "shared/bus/publisher.ts";
import * as contract from "shared/contracts/data_ingestion.ts";
import { type SourceBody, sourceBodySchema } from "shared/contracts/source.ts";
import { STREAM } from "shared/contracts/streams.ts";
import { connectDatabase } from "shared/db/connection.ts";
import { createOutbox } from "shared/db/outbox.ts";
import { createDailyPartitions } from "shared/db/partitions.ts";
import { createDefinitions } from "shared/definitions/definitions.ts";
import { busy, unavailable } from "shared/errors.ts";
import { createPrivacy } from "shared/privacy.ts";
import type { ServiceApp, ServiceDeps } from "shared/service.ts";
import { answerInTime } from "./answer_in_time.ts";
import { Capacity } from "./capacity.ts";
import type { IngestDeps } from "./circumstances.ts";
import { createClockPublisher } from "./clocks.ts";
import type { configSchema } from "./config.ts";
import { compileSource, type Source } from "./domain/source.ts";
import { createEndpoints } from "./endpoints.ts";
import { enqueueIngested } from "./enqueue_ingested.ts";
import { stateOf } from "./entities.ts";
import { HandledMessages } from "./handled_messages.ts";
import { addRoutes, BODY_LIMITS } from "./http/routes.ts";
import { type Delivery, ingest, judgeMessages, storeMessages } from "./ingest.ts";
import { KeyOutlook } from "./key_outlook.ts";
import { countDeadLetters, ledgerPage } from "./ledger.ts";
import { createEventsHandler, sourceOf } from "./messages.ts";
import { redriveRejected } from "./redrive_rejected.ts";
import { rejectedPage } from "./rejected.ts";
import { createReplayWorker } from "./replay_worker.ts";
import { createReplays } from "./replays.ts";
import { createRetention } from "./retention.ts";
import { openDeadLetter, sealDeadLetter } from "./seal_dead_letter.ts";
import { checkSource } from "./source_check.ts";
import { SPOOL_FOLDER } from "./spool.ts";
import { storeEvent } from "./store.ts";
import type { Stored } from "./store_judgement.ts";
import { newestEvents } from "./stored_events.ts";
import { takeUpload } from "./take_upload.ts";
import { beginUpload, createUploadSweeper, findUpload } from "./uploads.ts";

const SERVICE = "data-ingestion";
const EVENTS_DAYS = STREAM.events.maxAgeMs / 86_400_000;
/** Of messages in one transaction. */
const INTAKE_BATCH_BYTES = 1024 * 1024;

export function createApp(deps: ServiceDeps<z.infer<typeof configSchema>>): ServiceApp {
  const { bus, db, log, metrics, config } = deps;
  const privacy = config.SECRETS_KEY === undefined ? undefined : createPrivacy(config.SECRETS_KEY);
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
        body: sourceBodySchema,
        put: contract.putSource,
        remove: contract.removeSource,
        check: (name, body: SourceBody, tx) => checkSource(tx, { name, body }, { privacy }),
      },
    ],
    list: contract.definitions,
  });
  const partitions = createDailyPartitions(db, {
    table: "events",
    // Those are dropped whose rows the sweep has removed; it remembers messages that may still come again.
    keepDays: Math.max(config.KEEP_DAYS, EVENTS_DAYS + 1),
    log,
  });

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
    projects: () => [
      ...definitions.list("project").map(({ name }) => name),
      ...definitions.list("source").map(({ project }) => project),
    ],
  });
  // A source may be of a project that was never defined: it lives by the wall, and whoever waits for its records must
  // be told.
  definitions.onChange(({ kind, name, definition }) => {
    if (kind === "project") clocks.poke([name]);
    else if (definition !== undefined) clocks.poke([definition.project]);
  });

  const handledMessages = new HandledMessages();
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
    privacy,
    keepDays: config.KEEP_DAYS,
    outlook: new KeyOutlook(),
    handledMessages,
  };
  let handled = 0;
  const counted = (stored: Stored): Stored => {
    handled += stored.accepted.length + stored.refused.length + stored.repeated.length;
    return stored;
  };
  const answerMs = config.ANSWER_SECONDS * 1_000;
  const storeDeps = {
    async ingest(messages: readonly Delivery[]) {
      const ingested = counted(await ingest(ingestDeps, messages, { enqueue: enqueueIngested }));
      outbox.poke();
      return ingested;
    },
    capacity: new Capacity(config.MAX_WAITING),
    withinMs: answerMs,
  };
  const intake = {
    db,
    log,
    privacy,
    answerMs,
    findSource: (name: string) =>
      answerInTime(findSource(name), { action: `take events of "${name}"`, withinMs: answerMs }),
    publish: (messages: readonly Outgoing[]) => publishAll(bus, messages, { timeoutMs: answerMs }),
    spool: { folder: SPOOL_FOLDER, maxBytes: config.MAX_SPOOL_BYTES },
    capacity: new Capacity(config.INTAKE_BYTES),
    slowMs: config.SLOW_BODY_SECONDS * 1_000,
  };

  const consumer = createConsumer(bus, {
    service: SERVICE,
    stream: STREAM.events,
    durable: SERVICE,
    log,
    metrics,
    maxMessages: config.INTAKE_MESSAGES,
    maxBytes: INTAKE_BATCH_BYTES,
    ...createEventsHandler({
      judge: (messages, ahead) => judgeMessages(ingestDeps, messages, ahead),
      store: async (judged) => counted(await storeMessages(ingestDeps, judged)),
    }),
    onOpen: (createdAt) => handledMessages.open(createdAt, { db, bus }),
    onDeadLetters: (messages) => countDeadLetters({ db, sourceOf }, messages),
    seal: async (message) => sealDeadLetter(message, await findSource(message.name), privacy),
  });

  const replayWorker = createReplayWorker({
    db,
    openSession: () =>
      connectDatabase({
        url: config.DATABASE_URL,
        log,
        max: 1,
        name: "microml replay",
        keepsSessions: true,
      }),
    bus,
    log,
    clockKind,
  });
  const replays = createReplays({
    db,
    bus,
    projectOf: async (source) => (await findSource(source))?.project,
    worker: replayWorker,
  });

  return {
    endpoints: [
      ...definitions.endpoints,
      ...createDeadLetterEndpoints(bus, {
        service: SERVICE,
        list: contract.deadLetters,
        redrive: contract.redriveDead,
        db,
        open: privacy && ((payload) => openDeadLetter(payload, privacy)),
      }),
      ...createEndpoints({
        store: (request) => storeEvent(storeDeps, request, busy),
        beginUpload: (request, context) =>
          answerInTime(beginUpload(intake, request, context), {
            action: "begin an upload",
            withinMs: answerMs,
          }),
        findUpload: (upload) =>
          answerInTime(findUpload(intake, upload), { action: "find an upload", withinMs: answerMs }),
        ledgerPage: (request) => ledgerPage({ db, bus }, request),
        stateOf: (request) => stateOf(db, request),
        rejectedPage: (request) => rejectedPage(db, request),
        redriveRejected: (request, context) =>
          redriveRejected({ ingest: ingestDeps, outbox }, request, context),
        newestEvents: (request) => newestEvents(db, request),
        replays,
      }),
    ],
    routes: (app) =>
      addRoutes(app, {
        ...intake,
        store: (request) => storeEvent(storeDeps, request, unavailable),
        takeUpload: (part) => takeUpload(intake, part),
      }),
    bodyLimits: BODY_LIMITS,
    parts: [
      definitions.part,
      outbox,
      partitions,
      clocks,
      createUploadSweeper({ db, log }),
      createRetention({
        db,
        log,
        sources: () => definitions.list("source"),
        keepDays: config.KEEP_DAYS,
      }),
      consumer,
      replayWorker,
    ],
    stats: async () => ({ lag: await consumer.lag(), deadLetters: consumer.deadLetters(), handled }),
  };
}
