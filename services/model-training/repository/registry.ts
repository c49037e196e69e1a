/** The SQL of models, versions and aliases. @module */
import type { AliasEntry, ModelVersion } from "shared/contracts/model_training.ts";
import type { Database, Queryable, Transaction } from "shared/db/connection.ts";
import type { AliasMove, NewVersion, ServableVersion, VersionForJudging } from "../domain/registry.ts";

/** Locks a model until the transaction ends: what changes it takes turns. @returns its newest version, 0 for none */
export async function lockModel(tx: Transaction, model: string): Promise<number> {
  await tx`insert into models (name) values (${model}) on conflict do nothing`;
  const [row] = await tx<
    { versions: number }[]
  >`select versions from models where name = ${model} for update`;
  return row!.versions;
}

/** Adds a version to a locked model. */
export async function insertVersion(tx: Transaction, version: NewVersion): Promise<void> {
  const json = (value: unknown) => JSON.stringify(value);
  await tx`
    insert into model_files (sha256, onnx) values (${version.sha256}, ${version.onnx}) on conflict do nothing`;
  await tx`
    insert into versions (model, version, project, run, definition, sha256, bytes, signature, training_set, lineage,
      evaluation, reference_bins, actor)
    values (${version.model}, ${version.version}, ${version.project}, ${version.run}, ${version.definition},
      ${version.sha256}, ${version.onnx.length}, ${
    json(version.signature)
  }::text::json, ${version.trainingSet},
      ${json(version.lineage)}::text::json, ${json(version.evaluation)}::text::json,
      ${json(version.referenceBins)}::text::json, ${version.actor})`;
  await tx`update models set versions = ${version.version} where name = ${version.model}`;
}

/** Newest first. */
export async function listVersions(
  db: Database,
  options: { model: string; limit: number },
): Promise<ModelVersion[]> {
  const rows = await db<ModelVersion[]>`
    select model, version, project, run, sha256, bytes, signature, training_set as "trainingSet", evaluation,
      created_at as "createdAt",
      array(select alias from aliases a where a.model = v.model and a.version = v.version order by alias) as aliases
    from versions v where model = ${options.model}
    order by version desc limit ${options.limit}`;
  return rows.map((row) => ({ ...row }));
}

export async function findVersion(
  db: Queryable,
  model: string,
  version: number,
): Promise<ServableVersion | undefined> {
  const [row] = await db<ServableVersion[]>`
    select sha256, signature, project, definition from versions where model = ${model} and version = ${version}`;
  return row && { ...row };
}

export async function findForJudging(
  db: Database,
  model: string,
  version: number,
): Promise<VersionForJudging | undefined> {
  const [row] = await db<VersionForJudging[]>`
    select v.version, v.signature, v.training_set as "trainingSet", v.evaluation ->> 'trainUntil' as "trainUntil",
      r.spec -> 'label' ->> 'within' as within, f.onnx
    from versions v join model_files f using (sha256) join runs r on r.id = v.run
    where v.model = ${model} and v.version = ${version}`;
  return row && { ...row };
}

export async function findAlias(
  db: Queryable,
  model: string,
  alias: string,
): Promise<{ version: number; revision: number } | undefined> {
  const [row] = await db<{ version: number; revision: number }[]>`
    select version, revision from aliases where model = ${model} and alias = ${alias}`;
  return row && { ...row };
}

/** Points an alias of a locked model, and keeps who did it and why. */
export async function moveAlias(
  tx: Transaction,
  move: { model: string } & Omit<AliasMove, "at">,
): Promise<void> {
  const { model, alias, version, revision, actor, reason, evidence } = move;
  await tx`
    insert into aliases (model, alias, version, revision) values (${model}, ${alias}, ${version}, ${revision})
    on conflict (model, alias) do update set version = excluded.version, revision = excluded.revision`;
  await tx`
    insert into alias_moves (model, alias, revision, version, actor, reason, evidence)
    values (${model}, ${alias}, ${revision}, ${version}, ${actor}, ${reason}, ${evidence})`;
}

/** Newest first. */
export async function listMoves(
  db: Database,
  options: { model: string; limit: number },
): Promise<AliasMove[]> {
  const rows = await db<AliasMove[]>`
    select alias, version, revision, actor, reason, evidence, at from alias_moves
    where model = ${options.model} order by at desc, alias, revision desc limit ${options.limit}`;
  return rows.map((row) => ({ ...row }));
}

/** What each alias tells, of one model or of all. */
export async function listAliases(db: Queryable, options: { model?: string } = {}): Promise<AliasEntry[]> {
  const rows = await db<AliasEntry[]>`
    select a.model, a.alias, a.version, v.sha256, v.signature, a.revision, v.project
    from aliases a join versions v using (model, version)
    where ${options.model === undefined ? db`true` : db`a.model = ${options.model}`}
    order by a.model, a.alias`;
  return rows.map((row) => ({ ...row }));
}

export async function readModelFile(db: Database, sha256: string): Promise<Uint8Array | undefined> {
  const [row] = await db<{ onnx: Uint8Array }[]>`select onnx from model_files where sha256 = ${sha256}`;
  return row?.onnx;
}
