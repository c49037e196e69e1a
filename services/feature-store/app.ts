/** Wires the rooms of the feature store; also the door that its tests use. @module */
import type { z } from "zod";
import { createProjectClocks } from "shared/bus/project_clocks.ts";
import { createConsumer } from "shared/bus/consumer.ts";
import { createDeadLetterEndpoints } from "shared/bus/dead_letter_endpoints.ts";
import * as contract from "shared/contracts/feature_store.ts";
import { STREAM } from "shared/contracts/streams.ts";
import { transaction } from "shared/db/connection.ts";
import { together } from "shared/db/together.ts";
import { createOutbox } from "shared/db/outbox.ts";
import type { ServiceApp, ServiceDeps } from "shared/service.ts";
import { createBucketReader } from "./bucket_reader.ts";
import { cancelTrainingSet } from "./cancel_training_set.ts";
import { createFeatureCache, type Definitions } from "./catalog.ts";
import type { configSchema } from "./config.ts";
import { createFeatureDefinitions } from "./definitions.ts";
import { createEndpoints } from "./endpoints.ts";
import { addRoutes, MAX_SPINE_FILE_BYTES, SPINE_FILES_PATH } from "./http.ts";
import { createInsight } from "./insight.ts";
import { createLabelPublisher } from "./label_publisher.ts";
import { createCleanHandler } from "./messages.ts";
import { readOnline } from "./online.ts";
import { forgetEvents } from "./forget_events.ts";
import { forgetLabels } from "./forget_labels.ts";
import { createFeatureClock } from "./feature_clock.ts";
import { createViewFiller } from "./fill_views.ts";
import { createPeriodicWork } from "./periodic_work.ts";
import { createPosition } from "./position.ts";
import { pushFeatures } from "./push.ts";
import { readPins } from "./repository/service_views.ts";
import { readCounts } from "./repository/source_counts.ts";
import { noteApplied } from "./repository/applied_messages.ts";
import { readLabelProgress } from "./repository/labels.ts";
import { listTrainingSets, readStatistics, readTrainingSet } from "./repository/training_sets.ts";
import { removeOldBuckets } from "./remove_old_buckets.ts";
import { requestTrainingSet } from "./request_training_set.ts";
import { storeEvents } from "./store_events.ts";
import { createBuildingThread } from "./training_set_thread.ts";
import { createTrainingSetWorker } from "./training_set_worker.ts";
import { createViewCatalog, readProgress } from "./view_catalog.ts";

const DURABLE = "feature-store";
/** Of messages in one transaction: each makes the buckets that it touches anew, of which many are the same. */
const BYTES_AT_ONCE = 2 * 1024 * 1024;
const FORGET_SECONDS = 3_600;

export function createApp(deps: ServiceDeps<z.infer<typeof configSchema>>): ServiceApp {
  const { bus, config, db, log, metrics } = deps;
  const outbox = createOutbox(db, bus, log);
  const stored = createFeatureDefinitions({ db, bus, log, outbox });
  const catalog = createViewCatalog(db);
  const definitions: Definitions = {
    entity: (name) => stored.get("entity", name),
    view: (name, version) =>
      version === undefined ? stored.get("view", name) : stored.version("view", name, version),
    views: () => stored.list("view"),
    featureService: (name, version) =>
      version === undefined
        ? stored.get("feature-service", name)
        : stored.version("feature-service", name, version),
    pins: (service, version) => readPins(db, { service, version }),
    catalog,
  };
  const features = createFeatureCache(definitions);
  stored.onChange(() => features.clear());
  catalog.onChange(() => features.clear());
  const filler = createViewFiller({ db, log, afterRound: catalog.refresh });
  stored.onChange(filler.poke);

  const clocks = createProjectClocks(bus, log);
  const clock = createFeatureClock(db, clocks);
  const position = createPosition(bus, { stream: STREAM.clean.name, durable: DURABLE, log });
  let handled = 0;
  const consumer = createConsumer(bus, {
    service: "feature-store",
    stream: STREAM.clean,
    durable: DURABLE,
    log,
    metrics,
    maxBytes: BYTES_AT_ONCE,
    ...createCleanHandler({
      async store(batches) {
        const [, refused] = await transaction(
          db,
          (tx) =>
            together(noteApplied(tx, batches.map(({ sequence }) => sequence)), storeEvents(tx, batches)),
        );
        handled += batches.reduce((sum, { events }) => sum + events.length, 0);
        position.applied();
        return refused;
      },
    }),
  });
  const buckets = createBucketReader(db);
  const build = createBuildingThread({
    databaseUrl: config.DATABASE_URL,
    maxValues: config.TRAINING_SET_MAX_VALUES,
    threads: config.TRAINING_SET_THREADS,
    valuesOfThread: config.TRAINING_SET_THREAD_VALUES,
    definitions,
    files: bus.files,
  });
  const builder = createTrainingSetWorker(
    { db, files: bus.files, log, build, position },
    { leaseSeconds: config.TRAINING_SET_LEASE_SECONDS },
  );
  const labels = createLabelPublisher({
    db,
    outbox,
    definitions,
    labels: () => stored.list("label"),
    now: clock.now,
    log,
    ...(bus.crashPoint === undefined ? {} : { crashPoint: bus.crashPoint }),
  });
  const forgetting = createPeriodicWork({ db, log }, {
    name: "retention of published labels",
    everySeconds: FORGET_SECONDS,
    work: (signal) => forgetLabels(db, { keepDays: config.LABEL_CORRECTION_DAYS, signal }),
  });
  const forgettingEvents = createPeriodicWork({ db, log }, {
    name: "retention of events that are of no entity",
    everySeconds: FORGET_SECONDS,
    work: (signal) => forgetEvents(db, { keepDays: config.UNREAD_EVENT_DAYS, signal }),
  });
  const removal = createPeriodicWork({ db, log }, {
    name: "removal of old buckets",
    everySeconds: config.OLD_BUCKETS_SECONDS,
    work: (signal) =>
      removeOldBuckets({
        db,
        signal,
        async now(view) {
          const definition = await stored.get("view", view);
          return definition && await clock.now(definition.project);
        },
      }),
  });
  const insight = createInsight({
    bus,
    db,
    log,
    metrics,
    definitions,
    known: () => ({
      views: stored.list("view"),
      services: stored.list("feature-service"),
      labels: stored.list("label"),
    }),
    now: clock.now,
    consistencyEverySeconds: config.CONSISTENCY_CHECK_SECONDS,
    statisticsEverySeconds: config.FEATURE_STATISTICS_SECONDS,
  });
  const online = { db, buckets, features, clock, position, countRead: insight.countRead };
  return {
    endpoints: [
      ...stored.endpoints,
      ...insight.endpoints,
      ...createDeadLetterEndpoints(bus, {
        service: "feature-store",
        list: contract.deadLetters,
        redrive: contract.redriveDead,
        db,
      }),
      ...createEndpoints({
        readOnline: (request, context) => readOnline(online, request, context),
        push: (request, context) => pushFeatures({ db, definitions, clock }, request, context),
        readProgress: (view) => readProgress(db, view),
        requestTrainingSet: (request, context) =>
          requestTrainingSet({ bus, db, definitions, clock, pokeBuilder: builder.poke }, request, context),
        findTrainingSet: (id) => readTrainingSet(db, id),
        listTrainingSets: (query) => listTrainingSets(db, query),
        cancelTrainingSet: (id, context) => cancelTrainingSet(db, id, context),
        readStatistics: (query) => readStatistics(db, query),
        readLabelProgress: (model) => readLabelProgress(db, model),
        readCounts: () => readCounts(db),
      }),
    ],
    routes: (app) => addRoutes(app, { files: bus.files, findTrainingSet: (id) => readTrainingSet(db, id) }),
    bodyLimits: { [SPINE_FILES_PATH]: MAX_SPINE_FILE_BYTES },
    parts: [
      stored.part,
      clocks.part,
      outbox,
      filler,
      consumer,
      builder,
      labels,
      forgetting,
      forgettingEvents,
      removal,
      ...insight.parts,
    ],
    stats: async () => ({ lag: await consumer.lag(), deadLetters: consumer.deadLetters(), handled }),
  };
}
