/** The SQL of models and their versions. @module */
import type { ReplyOf } from "shared/contracts/endpoint.ts";
import type {
  Curves,
  listModels as listModelsContract,
  ModelVersion,
  VersionDetail,
} from "shared/contracts/model_training.ts";
import type { Database, Queryable, Transaction } from "shared/db/connection.ts";
import type { NewVersion, ServableVersion, VersionForJudging } from "../domain/registry.ts";

/** Locks a model until the transaction ends: what changes it takes turns. @returns its newest version, 0 for none */
export async function lockModel(tx: Transaction, model: string): Promise<number> {
  await tx`insert into models (name) values (${model}) on conflict do nothing`;
  const [row] = await tx<
    { versions: number }[]
  >`select versions from models where name = ${model} for update`;
  return row!.versions;
}

/** Keeps the bytes of a model: the bus must not have the only copy. */
export async function keepModelFile(tx: Transaction, sha256: string, onnx: Uint8Array): Promise<void> {
  await tx`insert into model_files (sha256, onnx) values (${sha256}, ${onnx}) on conflict do nothing`;
}

/** Adds a version to a locked model. */
export async function insertVersion(tx: Transaction, version: NewVersion): Promise<void> {
  const json = (value: unknown) => value === null ? null : JSON.stringify(value);
  await keepModelFile(tx, version.sha256, version.onnx);
  await tx`
    insert into versions (model, version, project, run, origin, algorithm, definition, sha256, bytes, signature,
      training_set, lineage, train_until, horizon, evaluation, curves, hints, reference_bins, input_example, graph,
      notes, actor)
    values (${version.model}, ${version.version}, ${version.project}, ${version.run}, ${version.origin},
      ${version.algorithm}, ${version.definition}, ${version.sha256}, ${version.onnx.length},
      ${json(version.signature)}::text::json, ${version.trainingSet}, ${json(version.lineage)}::text::json,
      ${version.trainUntil}, ${version.horizon}, ${json(version.evaluation)}::text::json,
      ${json(version.curves)}::text::json, ${json(version.hints)}::text::json,
      ${json(version.referenceBins)}::text::json, ${json(version.inputExample)}::text::json,
      ${json(version.graph)}::text::json, ${version.notes}, ${version.actor})`;
  await setTags(tx, version, version.tags);
  await tx`update models set versions = ${version.version} where name = ${version.model}`;
}

interface VersionName {
  model: string;
  version: number;
}

/** Sets the tags that are named; null removes one. */
export async function setTags(
  tx: Transaction,
  { model, version }: VersionName,
  tags: Readonly<Record<string, string | null>>,
): Promise<void> {
  const removed = Object.keys(tags).filter((key) => tags[key] === null);
  const kept = Object.entries(tags).filter((entry): entry is [string, string] => entry[1] !== null);
  if (removed.length > 0) {
    await tx`delete from version_tags where model = ${model} and version = ${version} and key = any(${removed})`;
  }
  if (kept.length > 0) {
    await tx`
      insert into version_tags (model, version, key, value)
      select ${model}, ${version}::integer, *
      from unnest(${kept.map(([key]) => key)}::text[], ${kept.map(([, value]) => value)}::text[])
      on conflict (model, version, key) do update set value = excluded.value`;
  }
}

export async function setNotes(
  tx: Transaction,
  { model, version }: VersionName,
  notes: string,
): Promise<void> {
  await tx`update versions set notes = ${notes} where model = ${model} and version = ${version}`;
}

export async function retireVersion(
  tx: Transaction,
  { model, version }: VersionName,
  { actor, reason }: { actor: string; reason: string },
): Promise<void> {
  await tx`
    update versions set retired_at = now(), retired_by = ${actor}, retired_reason = ${reason}
    where model = ${model} and version = ${version}`;
}

const VERSION_COLUMNS =
  `v.model, v.version, v.project, v.run, v.origin, v.algorithm, v.sha256, v.bytes, v.signature,
  v.training_set as "trainingSet", v.evaluation, v.created_at as "createdAt", v.retired_at as "retiredAt",
  array(select alias from aliases a where a.model = v.model and a.version = v.version order by alias) as aliases,
  (select coalesce(json_object_agg(key, value), '{}') from version_tags t
    where t.model = v.model and t.version = v.version) as tags`;

export interface VersionPage {
  model: string;
  tag?: string | undefined;
  limit: number;
  before?: number | undefined;
}

/** Newest first; one more than the limit where there are more. */
export async function listVersions(db: Database, page: VersionPage): Promise<ModelVersion[]> {
  const rows = await db<ModelVersion[]>`
    select ${db.unsafe(VERSION_COLUMNS)} from versions v
    where v.model = ${page.model} and v.version in (${versionsOfPage(db, page)})
    order by v.version desc`;
  return rows.map((row) => ({ ...row }));
}

/** The numbers of a page, from an index alone. */
export function versionsOfPage(db: Database, { model, tag, limit, before }: VersionPage) {
  const older = before === undefined ? db`true` : db`version < ${before}`;
  if (tag === undefined) {
    return db`select version from versions where model = ${model} and ${older} order by version desc limit ${
      limit + 1
    }`;
  }
  const [key, ...rest] = tag.split("=");
  const valued = rest.length === 0 ? db`true` : db`value = ${rest.join("=")}`;
  return db`
    select version from version_tags where model = ${model} and key = ${key!} and ${valued} and ${older}
    order by version desc limit ${limit + 1}`;
}

/** A version and what its card shows besides. */
export async function findVersionDetail(
  db: Queryable,
  model: string,
  version: number,
): Promise<VersionDetail & { curves: Curves | null } | undefined> {
  const [row] = await db<(VersionDetail & { curves: Curves | null })[]>`
    select ${db.unsafe(VERSION_COLUMNS)}, v.definition, v.lineage, v.input_example as "inputExample", v.graph,
      v.reference_bins as "referenceBins", v.hints, v.notes, v.actor, v.retired_by as "retiredBy",
      v.retired_reason as "retiredReason", v.curves
    from versions v where v.model = ${model} and v.version = ${version}`;
  return row && { ...row };
}

export async function findVersion(
  db: Queryable,
  model: string,
  version: number,
): Promise<ServableVersion | undefined> {
  const [row] = await db<ServableVersion[]>`
    select sha256, signature, project, definition, retired_at as "retiredAt" from versions
    where model = ${model} and version = ${version}`;
  return row && { ...row };
}

export async function findForJudging(
  db: Database,
  model: string,
  version: number,
): Promise<VersionForJudging | undefined> {
  const [row] = await db<VersionForJudging[]>`
    select v.version, v.signature, v.training_set as "trainingSet", v.train_until as "trainUntil", v.horizon,
      v.reference_bins as "referenceBins", f.onnx
    from versions v join model_files f using (sha256)
    where v.model = ${model} and v.version = ${version}`;
  return row && { ...row };
}

/** By name; one more than the limit where there are more. */
export async function listModels(
  db: Database,
  { limit, after }: { limit: number; after?: string | undefined },
): Promise<ReplyOf<typeof listModelsContract>["models"]> {
  const rows = await db<ReplyOf<typeof listModelsContract>["models"]>`
    select m.name as model, m.versions as newest,
      (select coalesce(json_object_agg(alias, version), '{}') from aliases where model = m.name) as aliases
    from models m
    where m.versions > 0 and ${after === undefined ? db`true` : db`m.name > ${after}`}
    order by m.name limit ${limit + 1}`;
  return rows.map((row) => ({ ...row }));
}

export async function readModelFile(db: Database, sha256: string): Promise<Uint8Array | undefined> {
  const [row] = await db<{ onnx: Uint8Array }[]>`select onnx from model_files where sha256 = ${sha256}`;
  return row?.onnx;
}
