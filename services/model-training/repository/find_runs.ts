/** The SQL of looking at runs. @module */
import type { RequestOf } from "shared/contracts/endpoint.ts";
import type {
  Artifact,
  listRuns as listRunsContract,
  LoggedPoint,
  MetricPoint,
  ModelBody,
  Run,
  RunDetail,
  runLogs,
} from "shared/contracts/model_training.ts";
import type { ReplyOf } from "shared/contracts/endpoint.ts";
import type { Database, Queryable } from "shared/db/connection.ts";

const RUN_COLUMNS =
  `r.id, r.project, r.kind, r.model, r.status, r.stage, r.progress, r.error, r.algorithm, r.seed,
  (select coalesce(json_object_agg(name, value), '{}') from run_parameters where run = r.id) as parameters,
  (select coalesce(json_object_agg(key, value), '{}') from run_tags where run = r.id) as tags,
  (select coalesce(json_object_agg(name, value), '{}') from run_results where run = r.id) as metrics,
  r.training_set as "trainingSet", r.evaluation, r.test_look as "testLook", r.version, r.retry_of as "retryOf",
  r.logged_run as "loggedRun", r.actor, r.reason, r.created_at as "createdAt", r.finished_at as "finishedAt"`;

export async function findRun(db: Queryable, id: string): Promise<RunDetail | undefined> {
  const [row] = await db<Omit<RunDetail, "artifacts" | "importedAs">[]>`
    select ${db.unsafe(RUN_COLUMNS)}, r.environment, r.git_revision as "gitRevision", r.trials
    from runs r where r.id = ${id}`;
  if (row === undefined) return undefined;
  const artifacts = await db<Artifact[]>`
    select name, sha256, bytes, media_type as "mediaType", at from run_artifacts where run = ${id} order by name`;
  const importedAs = await db<RunDetail["importedAs"]>`
    select model, version from runs where logged_run = ${id} order by model, version`;
  return {
    ...row,
    artifacts: artifacts.map((artifact) => ({ ...artifact })),
    importedAs: importedAs.map((version) => ({ ...version })),
  };
}

/** What a run was asked for with. */
export interface AskedRun {
  project: string;
  kind: Run["kind"];
  model: string | null;
  definition: number | null;
  spec: ModelBody | null;
  algorithm: string;
  seed: number | null;
  tags: Record<string, string>;
  gitRevision: string | null;
}

export async function findAskedRun(db: Queryable, id: string): Promise<AskedRun | undefined> {
  const [row] = await db<AskedRun[]>`
    select project, kind, model, definition, spec, algorithm, seed, git_revision as "gitRevision",
      (select coalesce(json_object_agg(key, value), '{}') from run_tags where run = id) as tags
    from runs where id = ${id}`;
  return row && { ...row };
}

type WantedRuns = RequestOf<typeof listRunsContract>;

/** In the order that is wanted; one more than the limit where there are more. */
export async function listRuns(db: Database, wanted: WantedRuns): Promise<Run[]> {
  const { tag = [], parameter = [], limit } = wanted;
  const conditions = [
    ...(["project", "model", "kind", "algorithm", "status"] as const).flatMap((column) => {
      const value = wanted[column];
      return value === undefined ? [] : [db`r.${db(column)} = ${value}`];
    }),
    ...(wanted.trainingSet === undefined ? [] : [db`r.training_set = ${wanted.trainingSet}`]),
    ...[tag].flat().map((tag) => taggedWith(db, tag)),
    ...[parameter].flat().map((parameter) => withParameter(db, parameter)),
  ];
  const { join, first, direction } = orderOf(db, wanted);
  const { after } = wanted;
  if (after !== undefined) {
    const later = direction === "desc" ? db`<` : db`>`;
    conditions.push(
      db`(${first}, r.id) ${later} (select ${first}, r.id from runs r ${join} where r.id = ${after})`,
    );
  }
  const rows = await db<Run[]>`
    select ${db.unsafe(RUN_COLUMNS)} from runs r ${join}
    where ${conditions.reduce((all, condition) => db`${all} and ${condition}`, db`true`)}
    order by ${first} ${db.unsafe(direction)}, r.id ${db.unsafe(direction)} limit ${limit + 1}`;
  return rows.map((row) => ({ ...row }));
}

/** The final values that runs are chosen or ordered by, and what they are ordered by first. */
function orderOf(db: Database, { metric, min, max, order }: WantedRuns) {
  const join = metric === undefined ? db`` : db`
    join run_results m on m.run = r.id and m.name = ${metric}
      and m.value >= ${min ?? -Infinity} and m.value <= ${max ?? Infinity}`;
  return {
    join,
    first: order === "newest" ? db`r.created_at` : db`m.value`,
    direction: order === "lowest" ? "asc" as const : "desc" as const,
  };
}

function taggedWith(db: Database, tag: string) {
  const [key, ...value] = tag.split("=");
  if (value.length === 0) return db`r.id in (select run from run_tags where key = ${key!})`;
  return db`r.id in (select run from run_tags where key = ${key!} and value = ${value.join("=")})`;
}

function withParameter(db: Database, parameter: string) {
  const [name, ...rest] = parameter.split("=");
  if (rest.length === 0) return db`r.id in (select run from run_parameters where name = ${name!})`;
  return db`r.id in (
    select run from run_parameters where name = ${name!} and value = ${
    jsonText(rest.join("="))
  }::text::jsonb)`;
}

/** What is no JSON is text. */
function jsonText(value: string): string {
  try {
    JSON.parse(value);
    return value;
  } catch {
    return JSON.stringify(value);
  }
}

export interface MetricPlace {
  name: string;
  step: number;
}

/** By name and step; one more than the limit where there are more. */
export async function listMetrics(
  db: Database,
  { id, name, limit, after }: {
    id: string;
    name?: string | undefined;
    limit: number;
    after: MetricPlace | undefined;
  },
): Promise<LoggedPoint[]> {
  const rows = await db<MetricPoint[]>`
    select name, step, value from run_metrics
    where run = ${id} and ${name === undefined ? db`true` : db`name = ${name}`}
      and ${after === undefined ? db`true` : db`(name, step) > (${after.name}, ${after.step})`}
    order by name, step limit ${limit + 1}`;
  return rows.map(({ value, ...row }) => ({
    ...row,
    value: Number.isFinite(value) ? value : String(value) as "NaN" | "Infinity" | "-Infinity",
  }));
}

/** Oldest first; one more than the limit where there are more. */
export async function listLines(
  db: Database,
  { id, limit, after }: { id: string; limit: number; after: number },
): Promise<ReplyOf<typeof runLogs>["lines"]> {
  const rows = await db<ReplyOf<typeof runLogs>["lines"]>`
    select sequence, at, line from run_logs where run = ${id} and sequence > ${after}
    order by sequence limit ${limit + 1}`;
  return rows.map((row) => ({ ...row }));
}

export async function findArtifact(db: Database, run: string, name: string): Promise<Artifact | undefined> {
  const [row] = await db<Artifact[]>`
    select name, sha256, bytes, media_type as "mediaType", at from run_artifacts
    where run = ${run} and name = ${name}`;
  return row && { ...row };
}
