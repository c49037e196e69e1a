/** Building a training set out of the history of every entity, in one thread or with assistants. @module */
import type { ColumnStatistics } from "shared/contracts/feature_store.ts";
import type { Database, Transaction } from "shared/db/connection.ts";
import { writeTrainingSet } from "shared/training_set_file.ts";
import type { GivenRows } from "./domain/given_rows.ts";
import { type JoinedRows, type JoinOptions, joinParts } from "./domain/joined_rows.ts";
import { createRowLimit } from "./domain/training_rows.ts";
import type { TrainingSetRequest } from "./repository/training_sets.ts";
import { readGivenSpine } from "./spine_file.ts";
import type { Assistant } from "./training_set_assistant.ts";
import { type DefinitionsData, fromData } from "./training_set_definitions.ts";
import { type BuiltTrainingSet, describe, describeColumns } from "./training_set_description.ts";
import { buildPart, type BuiltPart } from "./training_set_part.ts";
import { columnsOf, isGiven, planTrainingSet, type TrainingSetPlan } from "./training_set_plan.ts";
import { divide, type Share } from "./training_set_share.ts";

export interface BuilderDeps {
  db: Database;
  /** Of `db`, for the assistants' connections. */
  databaseUrl: string;
  definitions: DefinitionsData;
  /** Rows times features that may be held. */
  maxValues: number;
  /** Threads that may work on it, this one included. */
  threads: number;
  /** Rows times features for each of them, at least. */
  valuesOfThread: number;
  openAssistant(): Assistant;
}

export interface BuildOptions {
  /** The file of a spine that was given as one. */
  spineFile?: Uint8Array | undefined;
  /** Told now and then how far it is, between 0 and 1. */
  onProgress?(share: number): void;
}

/** The share of the columns that the thread describes which writes the file, too. */
const WRITER_DESCRIBES = 0.2;
/** The share of the work that is done when all records are read; the file is then written and stored. */
const READ_SHARE = 0.8;

/**
 * Rows are those of the given spine, or the active entities at each tick (the entity of each event) up to the project's
 * clock, by T and then by entity key. The records are read in one snapshot. Threads divide the entities among them, and
 * when all rows are there, one writes the file while the others describe what is in it: the bytes are the same whatever
 * their number.
 *
 * @throws {AppError} `invalid` when the spine or the definitions do not fit, `too_large` beyond `maxValues`
 */
export async function buildTrainingSet(
  deps: BuilderDeps,
  request: TrainingSetRequest,
  { spineFile, onProgress = () => {} }: BuildOptions = {},
): Promise<BuiltTrainingSet> {
  using assistants = new DisposableStack();
  const plan = await planTrainingSet(fromData(deps.definitions), request);
  const given = await givenRows(plan, request, spineFile);
  const opened: Assistant[] = [];
  const parts = await deps.db.begin("isolation level repeatable read read only", async (tx) => {
    const { threads, valuesOfThread } = deps;
    const shares = await divide(tx, { plan, given, threads, valuesOfThread });
    while (opened.length < shares.length - 1) opened.push(assistants.use(deps.openAssistant()));
    return await buildParts(tx, shares, { deps, plan, request, assistants: opened, onProgress });
  });
  const join: JoinOptions = {
    features: plan.features.plan.features,
    carried: isGiven(request.spine) ? request.spine.carry : [],
    marksMature: plan.label?.mayBeNull ?? false,
  };
  const rows = joinParts(parts, join);
  const own = opened.length === 0 ? rows.valueColumns : Math.floor(rows.valueColumns * WRITER_DESCRIBES);
  const [others, { file, described }] = await Promise.all([
    describeWith(opened, { parts, join, first: own, end: rows.valueColumns }),
    writeAndDescribe(rows, own),
  ]);
  const statistics = [...described, ...others];
  return { file, ...describe({ rows, parts, statistics, bytes: file.byteLength, plan, request }) };
}

async function givenRows(
  plan: TrainingSetPlan,
  request: TrainingSetRequest,
  file: Uint8Array | undefined,
): Promise<GivenRows | undefined> {
  const { entity, spine, label } = request;
  if (!isGiven(spine)) return undefined;
  return await readGivenSpine(spine, {
    entity,
    keys: plan.keys,
    ...columnsOf({ spine, label, features: plan.features }),
    clockMs: Date.parse(request.clock),
    file,
  });
}

/** The first share is this thread's. */
async function buildParts(
  tx: Transaction,
  [own, ...others]: readonly Share[],
  { deps, plan, request, assistants, onProgress }: {
    deps: BuilderDeps;
    plan: TrainingSetPlan;
    request: TrainingSetRequest;
    assistants: readonly Assistant[];
    onProgress(share: number): void;
  },
): Promise<BuiltPart[]> {
  const limit = createRowLimit({ features: plan.features.plan.features.length, maxCells: deps.maxValues });
  const progress = new Float64Array(assistants.length + 1);
  const tell = (part: number, share: number) => {
    progress[part] = share;
    onProgress(progress.reduce((sum, one) => sum + one) / progress.length * READ_SHARE);
  };
  const snapshot = assistants.length > 0 ? await exportSnapshot(tx) : "";
  const { databaseUrl, definitions } = deps;
  return await Promise.all([
    buildPart(tx, { plan, request, share: own!, limit, onProgress: (share) => tell(0, share) }),
    ...assistants.map((assistant, index) =>
      assistant.buildPart(
        { databaseUrl, definitions, request, share: others[index]!, limit, snapshot },
        (share) => tell(index + 1, share),
      )
    ),
  ]);
}

async function exportSnapshot(tx: Transaction): Promise<string> {
  const [row] = await tx<{ snapshot: string }[]>`select pg_export_snapshot() as snapshot`;
  return row!.snapshot;
}

/** The file, and what the first columns hold. */
async function writeAndDescribe(
  rows: JoinedRows,
  columns: number,
): Promise<{ file: Uint8Array; described: ColumnStatistics[] }> {
  return { file: await writeTrainingSet(rows), described: describeColumns(rows, 0, columns) };
}

/** Columns of values [first, end), which the assistants divide among them. */
async function describeWith(
  assistants: readonly Assistant[],
  { parts, join, first, end }: { parts: readonly BuiltPart[]; join: JoinOptions; first: number; end: number },
): Promise<ColumnStatistics[]> {
  const each = Math.ceil((end - first) / assistants.length);
  const described = assistants.map((assistant, index) =>
    assistant.describe({
      parts,
      join,
      first: first + index * each,
      end: Math.min(first + (index + 1) * each, end),
    })
  );
  return (await Promise.all(described)).flat();
}
