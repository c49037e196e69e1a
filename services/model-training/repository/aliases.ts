/** The SQL of aliases and their history. @module */
import type { AliasEntry, AliasMove } from "shared/contracts/model_training.ts";
import type { Database, Queryable, Transaction } from "shared/db/connection.ts";
import type { PastMove } from "../domain/registry.ts";

export async function findAlias(
  db: Queryable,
  model: string,
  alias: string,
): Promise<{ version: number; revision: number } | undefined> {
  const [row] = await db<{ version: number; revision: number }[]>`
    select version, revision from aliases where model = ${model} and alias = ${alias}`;
  return row && { ...row };
}

/** The revision of the newest move of an alias, removed or not; 0 for none. */
export async function lastRevision(db: Queryable, model: string, alias: string): Promise<number> {
  const [row] = await db<{ revision: number }[]>`
    select revision from alias_moves where model = ${model} and alias = ${alias}
    order by revision desc limit 1`;
  return row?.revision ?? 0;
}

/** Points an alias of a locked model, or removes it, and keeps who did it and why. */
export async function moveAlias(
  tx: Transaction,
  move: { model: string } & Omit<AliasMove, "at">,
): Promise<void> {
  const { model, alias, version, revision, kind, actor, reason, evidence } = move;
  if (version === null) {
    await tx`delete from aliases where model = ${model} and alias = ${alias}`;
  } else {
    await tx`
      insert into aliases (model, alias, version, revision) values (${model}, ${alias}, ${version}, ${revision})
      on conflict (model, alias) do update set version = excluded.version, revision = excluded.revision`;
  }
  await tx`
    insert into alias_moves (model, alias, revision, version, kind, actor, reason, evidence)
    values (${model}, ${alias}, ${revision}, ${version}, ${kind}, ${actor}, ${reason}, ${evidence})`;
}

/** All moves of one alias, oldest first. */
export async function pastMoves(db: Queryable, model: string, alias: string): Promise<PastMove[]> {
  const rows = await db<PastMove[]>`
    select version, kind from alias_moves where model = ${model} and alias = ${alias} order by revision`;
  return rows.map((row) => ({ ...row }));
}

export interface MovesPage {
  model: string;
  alias?: string | undefined;
  /** Only moves to this version. */
  version?: number;
  limit: number;
  after?: number | undefined;
}

/** Newest first, each with its place in the order; one more than the limit where there are more. */
export async function listMoves(db: Database, page: MovesPage): Promise<(AliasMove & { id: number })[]> {
  const { model, alias, version, limit, after } = page;
  const rows = await db<(AliasMove & { id: number })[]>`
    select id, alias, version, revision, kind, actor, reason, evidence, at from alias_moves
    where model = ${model} and ${alias === undefined ? db`true` : db`alias = ${alias}`}
      and ${version === undefined ? db`true` : db`version = ${version}`}
      and ${after === undefined ? db`true` : db`id < ${after}`}
    order by id desc limit ${limit + 1}`;
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

/** The aliases that point to a version. */
export async function aliasesOf(db: Queryable, model: string, version: number): Promise<string[]> {
  const rows = await db<{ alias: string }[]>`
    select alias from aliases where model = ${model} and version = ${version} order by alias`;
  return rows.map(({ alias }) => alias);
}
