/** The use cases of runs that someone's own code logs. @module */
import { v7 as uuidv7 } from "uuid";
import type { Bus } from "shared/bus/connection.ts";
import type { CallContext, RequestOf } from "shared/contracts/endpoint.ts";
import * as contract from "shared/contracts/model_training.ts";
import { type Database, type Transaction, transaction } from "shared/db/connection.ts";
import { once } from "shared/db/idempotency.ts";
import { conflict, notFound } from "shared/errors.ts";
import type { Logger } from "shared/log.ts";
import {
  appendEvent,
  keepArtifact,
  keepLines,
  keepMetrics,
  keepParameters,
  keepResults,
  keepTags,
} from "./repository/run_records.ts";
import { endLoggedRun, holdLoggedRun, insertRun, setProgress } from "./repository/runs.ts";
import { keepModelFile } from "./repository/versions.ts";
import { publishRunEvent } from "./run_events.ts";

export interface LogDeps {
  db: Database;
  bus: Bus;
  log: Logger;
}

/** Each is refused as a `conflict` when the run is not one of this kind, or has ended. */
export function createRunLogging(deps: LogDeps) {
  const { db, bus } = deps;

  /** Works on a run that is under way, and tells of it. */
  async function logged<T>(
    call: { endpoint: string; request: { id: string } },
    context: CallContext,
    work: (tx: Transaction) => Promise<T>,
  ): Promise<T> {
    const { id } = call.request;
    let event: contract.RunEvent | undefined;
    const reply = await once(db, context, call, async (tx) => {
      const run = await holdLoggedRun(tx, id);
      if (run === undefined) throw notFound(`Cannot log the run ${id}: there is none`);
      if (run.kind !== "logged") {
        throw conflict(`Cannot log the run ${id}: it was ${run.kind}, not begun by create-run`);
      }
      if (run.status !== "running") {
        throw conflict(`Cannot log the run ${id}: it has ended, it is ${run.status}`);
      }
      const done = await work(tx);
      event = await appendEvent(tx, id);
      return done;
    });
    if (event !== undefined) publishRunEvent(deps, event);
    return reply;
  }

  async function keepFile(
    call: { endpoint: string; request: RequestOf<typeof contract.logArtifact> },
    { bytes, owned }: { bytes: Uint8Array; owned: boolean },
    context: CallContext,
  ): Promise<contract.Artifact> {
    const { id, name, sha256, mediaType } = call.request;
    return await logged(call, context, async (tx) => {
      if (name.endsWith(".onnx")) await keepModelFile(tx, sha256, bytes);
      return await keepArtifact(tx, id, { name, sha256, bytes: bytes.length, mediaType, owned });
    });
  }

  return {
    async createRun(request: RequestOf<typeof contract.createRun>, context: CallContext) {
      const { model = null, trainingSet = null, gitRevision = null, seed = null, ...rest } = request;
      let event: contract.RunEvent | undefined;
      const call = { endpoint: contract.createRun.subject, request };
      const reply = await once(db, context, call, async (tx) => {
        const id = uuidv7();
        await insertRun(tx, {
          ...rest,
          id,
          kind: "logged",
          model,
          definition: null,
          spec: null,
          trainingSet,
          gitRevision,
          seed,
          retryOf: null,
          loggedRun: null,
          actor: context.actor,
        });
        event = await appendEvent(tx, id);
        return { id };
      });
      if (event !== undefined) publishRunEvent(deps, event);
      return reply;
    },

    async logRun(request: RequestOf<typeof contract.logRun>, context: CallContext) {
      const { id, parameters, metrics, results, tags, lines, progress } = request;
      return await logged({ endpoint: contract.logRun.subject, request }, context, async (tx) => {
        await keepParameters(tx, id, parameters);
        await keepMetrics(tx, id, metrics);
        await keepResults(tx, id, results);
        await keepTags(tx, id, tags);
        await keepLines(tx, id, lines);
        if (progress !== undefined) await setProgress(tx, id, progress);
        return {};
      });
    },

    /** A file that is in the file store already. */
    async logArtifact(request: RequestOf<typeof contract.logArtifact>, context: CallContext) {
      const bytes = await bus.files.get(request.sha256);
      const file = { bytes, owned: false };
      return await keepFile({ endpoint: contract.logArtifact.subject, request }, file, context);
    },

    /** A file that comes with the call. */
    async putArtifact(
      { bytes, ...named }: { id: string; name: string; mediaType: string; bytes: Uint8Array },
      context: CallContext,
    ) {
      // Before the file is stored: it would be nobody's.
      await transaction(db, async (tx) => {
        if (await holdLoggedRun(tx, named.id) === undefined) {
          throw notFound(`Cannot log the run ${named.id}: there is none`);
        }
      });
      const { sha256, isNew: owned } = await bus.files.add(bytes);
      const call = { endpoint: contract.logArtifact.subject, request: { ...named, sha256 } };
      const artifact = await keepFile(call, { bytes, owned }, context);
      // One that was there may have been released, and removed in the meantime.
      if (!owned) await bus.files.put(bytes);
      return artifact;
    },

    async finishRun(request: RequestOf<typeof contract.finishRun>, context: CallContext) {
      return await logged({ endpoint: contract.finishRun.subject, request }, context, async (tx) => {
        await endLoggedRun(tx, request.id, request.error ?? null);
        return {};
      });
    },
  };
}
