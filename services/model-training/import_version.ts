/** The use case of registering a file that was made elsewhere. @module */
import { v7 as uuidv7 } from "uuid";
import type { Bus } from "shared/bus/connection.ts";
import type { CallContext, ReplyOf } from "shared/contracts/endpoint.ts";
import * as contract from "shared/contracts/model_training.ts";
import type { Database, Transaction } from "shared/db/connection.ts";
import { answered, once } from "shared/db/idempotency.ts";
import { AppError, conflict, invalid, notFound } from "shared/errors.ts";
import type { Logger } from "shared/log.ts";
import { callWorker } from "shared/worker_call.ts";
import type { ModelDefinitions } from "./definitions.ts";
import type { ImportedModel } from "./judge_file.ts";
import type { OutsideWork } from "./outside_worker.ts";
import { registerVersion } from "./registry.ts";
import { type AskedRun, findAskedRun } from "./repository/find_runs.ts";
import { appendEvent, keepArtifact } from "./repository/run_records.ts";
import { completeRun, insertRun } from "./repository/runs.ts";
import { publishRunEvent } from "./run_events.ts";

export interface ImportDeps {
  db: Database;
  bus: Bus;
  log: Logger;
  definitions: ModelDefinitions;
  /** Tells the outbox that something waits. */
  poke(): void;
}

export interface ImportOptions {
  maxBytes: number;
  /** How long the checks of a file may take. */
  limitSeconds: number;
}

type Reply = ReplyOf<typeof contract.importVersion>;
type Import = (request: contract.ImportRequest, context: CallContext) => Promise<Reply>;

/**
 * Checks a file of the file store in a thread of its own, which a hostile one can't leave, and registers it as a
 * version. Imports take turns: each loads a runtime and a model.
 *
 * Its errors are those of the checks; `invalid` where it is not known whose the model is; `conflict` where the model is
 * another project's; `unprocessable` where it is of another task than the file.
 */
export function createImportVersion(deps: ImportDeps, options: ImportOptions): Import {
  let turn: Promise<unknown> = Promise.resolve();
  return async (request, context) => {
    // Checking is no work for a transaction: it takes seconds.
    const earlier = await answered<Reply>(deps.db, context, keyed(request));
    if (earlier !== undefined) return earlier;
    const imported = turn.then(() => importVersion(deps, options, request, context));
    // Its failure is told to who asked.
    turn = imported.catch(() => undefined);
    return await imported;
  };
}

const keyed = (request: contract.ImportRequest) => ({ endpoint: contract.importVersion.subject, request });

async function importVersion(
  deps: ImportDeps,
  { maxBytes, limitSeconds }: ImportOptions,
  request: contract.ImportRequest,
  context: CallContext,
): Promise<Reply> {
  const { db, bus, definitions } = deps;
  const definition = await definitions.get("model", request.model);
  const action = `import a version of ${request.model}`;
  const logged = await loggedRunOf(db, request, action);
  const project = request.project ?? definition?.project ?? logged?.project;
  if (project === undefined) {
    throw invalid(`Cannot ${action}: no project declares the model, so the request must name the project`);
  }
  if (definition !== undefined && definition.project !== project) {
    throw conflict(
      `Cannot ${action}: the model is the project "${definition.project}"'s, not "${project}"'s`,
    );
  }
  if (logged !== undefined && logged.project !== project) {
    throw conflict(
      `Cannot ${action}: the logged run is of the project "${logged.project}", the model is "${project}"'s`,
    );
  }
  const { trainingSet = null, trainUntil = null, signature = null, inputExample = null } = request;
  const onnx = await bus.files.get(request.sha256, { maxBytes });
  const known = trainingSet === null ? null : {
    file: await bus.files.get(trainingSet),
    sha256: trainingSet,
    trainUntil,
    metric: definition?.body.metric ?? null,
    costs: definition?.body.costs ?? contract.errorCostsSchema.parse({}),
    within: definition?.body.label.within ?? null,
    seed: definition?.body.seed ?? 1,
  };
  const checked = await callWorker<OutsideWork, ImportedModel>(
    new URL("./outside_worker.ts", import.meta.url),
    { import: { onnx, maxBytes, signature, inputExample, known } },
    { limitSeconds, action: `${action}: check the file` },
  );
  if (definition !== undefined && definition.body.task !== checked.signature.task) {
    throw new AppError(
      "unprocessable",
      `Cannot ${action}: the model is declared for a ${definition.body.task} task, the file's signature is of a ` +
        `${checked.signature.task} task`,
    );
  }
  const { sha256, isNew: owned } = await bus.files.add(checked.onnx);
  let event: contract.RunEvent | undefined;
  const reply = await once(db, context, keyed(request), async (tx) => {
    const registered = await register(
      tx,
      { request, checked, logged, sha256, owned, project, actor: context.actor },
      {
        definition: definition?.version ?? null,
        horizon: definition?.body.label.within ?? null,
      },
    );
    event = registered.event;
    return registered.reply;
  });
  if (event !== undefined) publishRunEvent(deps, event);
  deps.poke();
  return reply;
}

/**
 * The run of one's own code that a file was trained in.
 *
 * @throws {AppError} `not_found` when there is none; `conflict` for one that is not logged, or is of another model
 */
async function loggedRunOf(
  db: Database,
  { loggedRun, model }: contract.ImportRequest,
  action: string,
): Promise<AskedRun | undefined> {
  if (loggedRun === undefined) return undefined;
  const run = await findAskedRun(db, loggedRun);
  if (run === undefined) throw notFound(`Cannot ${action}: there is no run ${loggedRun}`);
  if (run.kind !== "logged") {
    throw conflict(`Cannot ${action}: the run ${loggedRun} was ${run.kind}, not begun by create-run`);
  }
  if (run.model !== null && run.model !== model) {
    throw conflict(`Cannot ${action}: the run ${loggedRun} is of the model "${run.model}"`);
  }
  return run;
}

interface Checked {
  request: contract.ImportRequest;
  checked: ImportedModel;
  logged: AskedRun | undefined;
  sha256: string;
  /** Whether its file came with it. */
  owned: boolean;
  project: string;
  actor: string;
}

async function register(
  tx: Transaction,
  { request, checked, logged, sha256, owned, project, actor }: Checked,
  declared: { definition: number | null; horizon: string | null },
): Promise<{ reply: Reply; event: contract.RunEvent }> {
  const { model, tags, notes, reason, loggedRun = null, trainingSet = null, trainUntil = null } = request;
  const algorithm = request.algorithm ?? logged?.algorithm ?? "imported";
  const { onnx, signature, graph, evaluation, curves, hints, referenceBins, inputExample, environment } =
    checked;
  const run = uuidv7();
  await insertRun(tx, {
    id: run,
    kind: "imported",
    project,
    model,
    definition: declared.definition,
    spec: null,
    algorithm,
    seed: null,
    parameters: {},
    tags,
    trainingSet,
    retryOf: null,
    loggedRun,
    gitRevision: logged?.gitRevision ?? null,
    environment,
    actor,
    reason,
  });
  const version = await registerVersion(tx, {
    model,
    project,
    run,
    origin: "imported",
    algorithm,
    ...declared,
    sha256,
    onnx,
    signature,
    graph,
    trainingSet,
    lineage: null,
    trainUntil,
    evaluation,
    curves,
    hints,
    referenceBins,
    inputExample,
    tags,
    notes,
    actor,
  });
  await keepArtifact(tx, run, {
    name: "model.onnx",
    sha256,
    bytes: onnx.length,
    mediaType: "application/onnx",
    owned,
  });
  await completeRun(tx, run, {
    version,
    evaluation,
    trials: [],
    parameters: {},
    environment: {},
    results: evaluation?.model ?? {},
  });
  return { reply: { version, run, sha256, signature }, event: await appendEvent(tx, run) };
}
