/** Wires the rooms of model-training; also the door that its tests use. @module */
import type { z } from "zod";
import type { CallContext, ReplyOf, RequestOf } from "shared/contracts/endpoint.ts";
import * as contract from "shared/contracts/model_training.ts";
import type { Transaction } from "shared/db/connection.ts";
import { once } from "shared/db/idempotency.ts";
import { createOutbox } from "shared/db/outbox.ts";
import { notFound } from "shared/errors.ts";
import type { ServiceApp, ServiceDeps } from "shared/service.ts";
import { createAliasKeeper, ensureFile } from "./alias_keeper.ts";
import { createCompareVersions } from "./compare_versions.ts";
import type { configSchema } from "./config.ts";
import { createModelDefinitions } from "./definitions.ts";
import { createEndpoints } from "./endpoints.ts";
import { describeEnvironment } from "./environment.ts";
import { followRun } from "./follow_run.ts";
import { addRoutes, FILE_PATHS } from "./http.ts";
import { createImportVersion } from "./import_version.ts";
import { createRunLogging } from "./log_run.ts";
import { readCard } from "./model_card.ts";
import { removeAlias, retire, rollbackAlias, setAlias } from "./registry.ts";
import { listAliases, listMoves } from "./repository/aliases.ts";
import { listComparisons } from "./repository/comparisons.ts";
import {
  findArtifact,
  findAskedRun,
  findRun,
  listLines,
  listMetrics,
  listRuns,
} from "./repository/find_runs.ts";
import { releaseFile } from "./repository/released_files.ts";
import { countRuns } from "./repository/runs.ts";
import {
  findVersion,
  findVersionDetail,
  listModels,
  listVersions,
  lockModel,
  readModelFile,
  setNotes,
  setTags,
} from "./repository/versions.ts";
import { createRetention } from "./retention.ts";
import { createRunQueue } from "./run_queue.ts";
import { createSilentRuns } from "./silent_runs.ts";
import { cancelRun, retryRun, startRun } from "./start_run.ts";

const MiB = 1024 * 1024;
/** Of the metrics of a fit, those that a card draws. */
const LOSSES = ["training_loss", "validation_loss"] as const;
/** Points of their curves. */
const MAX_ROUNDS = 5_000;

export function createApp(deps: ServiceDeps<z.infer<typeof configSchema>>): ServiceApp {
  const { bus, config, db, log, metrics } = deps;
  const outbox = createOutbox(db, bus, log);
  const definitions = createModelDefinitions({ db, bus, log, outbox });
  const maxBytes = config.FILE_LIMIT_MIB * MiB;
  const spare = Math.max(1, navigator.hardwareConcurrency - 1);
  const threads = config.THREADS_PER_RUN ?? Math.max(1, Math.floor(spare / config.RUNS_AT_ONCE));
  const outside = {
    waitSeconds: config.TRAINER_WAIT_SECONDS,
    silenceSeconds: config.TRAINER_SILENCE_SECONDS,
    judgeSeconds: config.RUN_LIMIT_SECONDS,
    maxBytes,
  };
  const queue = createRunQueue({ db, bus, log, metrics, outside, threads, poke: outbox.poke }, {
    atOnce: config.RUNS_AT_ONCE,
    leaseSeconds: config.RUN_LEASE_SECONDS,
    limitSeconds: config.RUN_LIMIT_SECONDS,
    environment: describeEnvironment({ gitRevision: config.GIT_REVISION, instance: config.INSTANCE }),
  });
  const retention = createRetention({ db, bus, log }, {
    progressDays: config.PROGRESS_DAYS,
    runDays: config.RUN_DAYS,
  });
  const silentRuns = createSilentRuns({ db, bus, log }, { hours: config.LOGGED_SILENCE_HOURS });
  const startDeps = { db, bus, log, definitions, pokeQueue: queue.poke };
  const logging = createRunLogging({ db, bus, log });
  const importVersion = createImportVersion({ db, bus, log, definitions, poke: outbox.poke }, {
    maxBytes,
    limitSeconds: config.IMPORT_LIMIT_SECONDS,
  });

  /** A change of the registry: once for its key, with what it tells through the outbox. */
  async function change<E extends { subject: string }>(
    endpoint: E,
    request: RequestOf<E>,
    context: CallContext,
    work: (tx: Transaction) => Promise<ReplyOf<E>>,
  ): Promise<ReplyOf<E>> {
    const reply = await once(db, context, { endpoint: endpoint.subject, request }, work);
    outbox.poke();
    return reply;
  }

  /** Before an alias is announced: a file that NATS lost must be there when serving looks for it. */
  async function ensureFileOf(model: string, version: number): Promise<void> {
    const found = await findVersion(db, model, version);
    if (found !== undefined) await ensureFile({ db, bus, log }, found.sha256);
  }

  return {
    endpoints: [
      ...definitions.endpoints,
      ...createEndpoints({
        startRun: (request, context) => startRun(startDeps, request, context),
        cancelRun: (request, context) => cancelRun(startDeps, request, context),
        retryRun: (request, context) => retryRun(startDeps, request, context),
        createRun: logging.createRun,
        logRun: logging.logRun,
        logArtifact: logging.logArtifact,
        finishRun: logging.finishRun,
        findRun: (id) => findRun(db, id),
        listRuns: (request) => listRuns(db, request),
        listMetrics: (request) => listMetrics(db, request),
        listLines: (request) => listLines(db, request),
        compareVersions: createCompareVersions({ db, bus, definitions }),
        listComparisons: (request) => listComparisons(db, request),
        async setAlias(request, context) {
          await ensureFileOf(request.model, request.version);
          return await change(
            contract.setAlias,
            request,
            context,
            (tx) => setAlias(tx, { ...request, actor: context.actor }),
          );
        },
        async rollbackAlias(request, context) {
          const reply = await change(
            contract.rollbackAlias,
            request,
            context,
            (tx) => rollbackAlias(tx, { ...request, actor: context.actor }),
          );
          if (reply.version !== null) await ensureFileOf(request.model, reply.version);
          return reply;
        },
        removeAlias: (request, context) =>
          change(
            contract.removeAlias,
            request,
            context,
            (tx) => removeAlias(tx, { ...request, actor: context.actor }),
          ),
        retireVersion: (request, context) =>
          change(
            contract.retireVersion,
            request,
            context,
            (tx) => retire(tx, { ...request, actor: context.actor }),
          ),
        annotateVersion: (request, context) =>
          change(contract.annotateVersion, request, context, async (tx) => {
            const { model, version, tags, notes } = request;
            await lockModel(tx, model);
            await setTags(tx, request, tags);
            if (notes !== undefined) await setNotes(tx, request, notes);
            const found = await findVersionDetail(tx, model, version);
            if (found === undefined) {
              throw notFound(`Cannot change version ${version} of ${model}: there is none`);
            }
            return { tags: found.tags, notes: found.notes };
          }),
        importVersion,
        getCard: (version) => readCard({ db, definitions }, version),
        listModels: (request) => listModels(db, request),
        listVersions: (request) => listVersions(db, request),
        async findVersion(model, version) {
          const found = await findVersionDetail(db, model, version);
          if (found === undefined) return undefined;
          const { curves: _, ...detail } = found;
          return detail;
        },
        listMoves: (request) => listMoves(db, request),
        listAliases: (options) => listAliases(db, options),
      }),
    ],
    routes: (app) =>
      addRoutes(app, {
        hasRun: async (id) => await findAskedRun(db, id) !== undefined,
        followRun: (id, options) => followRun({ db, bus }, id, options),
        putArtifact: logging.putArtifact,
        importVersion,
        async importFile(bytes, request, context) {
          const { sha256, isNew } = await bus.files.add(bytes);
          try {
            return await importVersion({ ...request, sha256 }, context);
          } finally {
            // What is kept is the file in the platform's form.
            if (isNew) await releaseFile(db, sha256);
          }
        },
        async renderCard(model, version) {
          const card = await readCard({ db, definitions }, { model, version });
          const { id } = card.run;
          const rounds = await Promise.all(
            LOSSES.map((name) => listMetrics(db, { id, name, limit: MAX_ROUNDS, after: undefined })),
          );
          const { renderCard } = await import("./card/page.ts");
          return await renderCard(card, rounds.flat());
        },
        async getArtifact(id, name) {
          const found = await findArtifact(db, id, name);
          return found && { ...found, content: await bus.files.get(found.sha256) };
        },
        async getModelFile(model, version) {
          const found = await findVersion(db, model, version);
          const content = found && await readModelFile(db, found.sha256);
          return found && content && { sha256: found.sha256, content };
        },
      }),
    bodyLimits: Object.fromEntries(FILE_PATHS.map((path) => [path, maxBytes])),
    parts: [
      definitions.part,
      outbox,
      createAliasKeeper({ db, bus, log, poke: outbox.poke }),
      queue,
      silentRuns,
      retention,
    ],
    stats: async () => ({ ...await countRuns(db) }),
  };
}
