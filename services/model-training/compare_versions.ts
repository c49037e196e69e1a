/** The use case of judging a candidate against the version of an alias. @module */
import { v7 as uuidv7 } from "uuid";
import type { Bus } from "shared/bus/connection.ts";
import type { CallContext, RequestOf } from "shared/contracts/endpoint.ts";
import * as contract from "shared/contracts/model_training.ts";
import { durationToMs } from "shared/contracts/time.ts";
import type { Database } from "shared/db/connection.ts";
import { answered, once } from "shared/db/idempotency.ts";
import { AppError, notFound } from "shared/errors.ts";
import { shapeOf } from "shared/onnx/model_batch.ts";
import type { ModelDefinitions } from "./definitions.ts";
import type { VersionForJudging } from "./domain/registry.ts";
import type { Contender, Judgement, JudgingTask } from "./judge_versions.ts";
import { insertComparison } from "./repository/comparisons.ts";
import { findAlias } from "./repository/aliases.ts";
import { findForJudging } from "./repository/versions.ts";
import { callWorker } from "shared/worker_call.ts";

export interface CompareDeps {
  db: Database;
  bus: Bus;
  definitions: ModelDefinitions;
}

type Request = RequestOf<typeof contract.compareVersions>;
type Compare = (request: Request, context: CallContext) => Promise<contract.Comparison>;

/**
 * Judges by the model's gate as it is defined now, on rows of the candidate's training set that are later than what
 * either was trained on, and keeps the numbers. Comparisons take turns: each holds a training set and two models.
 *
 * Its errors are `not_found` for a model, a version or a training set that is not there, and `unprocessable` where the
 * metric is of another task.
 */
export function createCompareVersions(deps: CompareDeps): Compare {
  let turn: Promise<unknown> = Promise.resolve();
  return async (request, context) => {
    // Judging is no work for a transaction: it takes seconds.
    const earlier = await answered<contract.Comparison>(deps.db, context, keyedCall(request));
    if (earlier !== undefined) return earlier;
    const compared = turn.then(() => compare(deps, request, context));
    // Its failure is told to who asked.
    turn = compared.catch(() => undefined);
    return await compared;
  };
}

async function compare(deps: CompareDeps, request: Request, context: CallContext) {
  const { db } = deps;
  const { model, against } = request;
  const { task, candidate, champion, trainingSet } = await prepare(deps, request);
  const { from, until, ...judged } = await callWorker<JudgingTask, Judgement>(
    new URL("./judge_worker.ts", import.meta.url),
    task,
    { transfer: [task.file.buffer as ArrayBuffer] },
  );
  const comparison: contract.Comparison = {
    id: uuidv7(),
    candidate: candidate.version,
    champion: champion?.version ?? null,
    metric: task.metric,
    ...judged,
  };
  return await once(db, context, keyedCall(request), async (tx) => {
    await insertComparison(tx, {
      ...comparison,
      model,
      against,
      trainingSet,
      gate: task.gate,
      from,
      until,
      actor: context.actor,
    });
    return comparison;
  });
}

const keyedCall = (request: Request) => ({ endpoint: contract.compareVersions.subject, request });

interface Prepared {
  task: JudgingTask;
  /** SHA-256 of the rows that both are judged on. */
  trainingSet: string;
  candidate: VersionForJudging;
  champion: VersionForJudging | null;
}

async function prepare({ db, bus, definitions }: CompareDeps, request: Request): Promise<Prepared> {
  const { model, against } = request;
  const action = `compare version ${request.candidate} of ${model}`;
  const definition = await definitions.get("model", model);
  if (definition === undefined) throw notFound(`Cannot ${action}: there is no model of this name`);
  const candidate = await findForJudging(db, model, request.candidate);
  if (candidate === undefined) throw notFound(`Cannot ${action}: there is no such version`);
  const alias = await findAlias(db, model, against);
  const champion = alias === undefined ? undefined : await findForJudging(db, model, alias.version);
  const { task, metric, quantile, gate } = definition.body;
  for (const { version, signature } of champion === undefined ? [candidate] : [candidate, champion]) {
    if (signature.task === task) continue;
    throw new AppError(
      "unprocessable",
      `Cannot ${action}: version ${version} is of a ${signature.task} task, the model's gate of a ${task} task`,
    );
  }
  const contenders = [candidate, ...(champion === undefined ? [] : [champion])].map((version) =>
    toContender(version, action)
  );
  const trainingSet = candidate.trainingSet ?? champion?.trainingSet ?? null;
  if (trainingSet === null) {
    throw new AppError(
      "unprocessable",
      `Cannot ${action}: neither version has a training set whose later rows both could be judged on`,
    );
  }
  const file = await readTrainingSet(bus, trainingSet, action);
  return {
    task: {
      file,
      metric,
      quantile,
      gate,
      candidate: contenders[0]!,
      champion: contenders[1] ?? null,
    },
    trainingSet,
    candidate,
    champion: champion ?? null,
  };
}

async function readTrainingSet(bus: Bus, trainingSet: string, action: string) {
  try {
    return await bus.files.get(trainingSet);
  } catch (error) {
    if (!(error instanceof AppError) || error.code !== "not_found") throw error;
    throw notFound(
      `Cannot ${action}: its training set ${trainingSet} is no longer kept: train a new version`,
    );
  }
}

function toContender(judged: VersionForJudging, action: string): Contender {
  const { version, onnx, signature, trainUntil, horizon, referenceBins } = judged;
  if (trainUntil === null) {
    throw new AppError(
      "unprocessable",
      `Cannot ${action}: it is not known until when version ${version} was trained, so no row is known to be later`,
    );
  }
  return {
    version,
    onnx,
    inputs: signature.inputs.map(({ name }) => name),
    outputs: shapeOf(signature).outputs,
    signature,
    referenceBins,
    trainUntil,
    horizonMs: horizon === null ? 0 : durationToMs(horizon),
  };
}
