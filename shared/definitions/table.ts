/** The SQL of definitions (migrations/_common/000001_create_definitions.sql). @module */
import type { StoredDefinition } from "../contracts/definition.ts";
import type { Queryable, Transaction } from "../db/connection.ts";

/** A definition as it stands in the table; whether the body is of its kind's schema is not known yet. */
export type DefinitionRow = StoredDefinition & { bodyHash: string };

const columns = (db: Queryable) =>
  db`project, kind, name, version, body, actor, changed_at as "changedAt", body_hash as "bodyHash"`;

/** Changes of one definition take turns: until the end of the transaction. */
export async function lockDefinition(tx: Transaction, kind: string, name: string): Promise<void> {
  await tx`select pg_advisory_xact_lock(hashtextextended(${`definition ${kind} ${name}`}, 0))`;
}

/** The definition in force. */
export async function selectCurrent(
  db: Queryable,
  kind: string,
  name: string,
): Promise<DefinitionRow | undefined> {
  const [row] = await db<DefinitionRow[]>`
    select ${columns(db)} from current_definitions where kind = ${kind} and name = ${name}`;
  return row;
}

/** All definitions in force, of one project or of all, by kind and name. */
export async function selectAllCurrent(db: Queryable, project?: string): Promise<DefinitionRow[]> {
  const ofProject = project === undefined ? db`` : db`where project = ${project}`;
  return await db<DefinitionRow[]>`
    select ${columns(db)} from current_definitions ${ofProject} order by kind, name`;
}

/** A version, in force or not. */
export async function selectVersion(
  db: Queryable,
  key: { kind: string; name: string; version: number },
): Promise<DefinitionRow | undefined> {
  const [row] = await db<DefinitionRow[]>`
    select ${columns(db)}
    from definitions
    where kind = ${key.kind} and name = ${key.name} and version = ${key.version}`;
  return row;
}

/** Adds the next version, counting those of a removed definition of this name too. */
export async function insertVersion(
  tx: Transaction,
  definition: Pick<DefinitionRow, "project" | "kind" | "name" | "body" | "bodyHash" | "actor">,
): Promise<DefinitionRow> {
  const { project, kind, name, body, bodyHash, actor } = definition;
  const [row] = await tx<DefinitionRow[]>`
    insert into definitions (project, kind, name, version, body, body_hash, actor, changed_at)
    select ${project}, ${kind}, ${name}, coalesce(max(version), 0) + 1,
      ${JSON.stringify(body)}::text::json, ${bodyHash}, ${actor}, clock_timestamp()
    from definitions
    where kind = ${kind} and name = ${name}
    returning ${columns(tx)}`;
  return row!;
}

export async function markRemoved(
  tx: Transaction,
  { kind, name, version }: DefinitionRow,
  actor: string,
): Promise<void> {
  await tx`
    update definitions
    set removed_at = clock_timestamp(), removed_by = ${actor}
    where kind = ${kind} and name = ${name} and version = ${version}`;
}
