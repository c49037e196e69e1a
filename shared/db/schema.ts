/**
 * Which migrations there are, and whether a database has had them all. A service only looks
 * ({@link checkSchema}); running them is `deno task migrate` (shared/db/migrate.ts).
 *
 * Needs `--allow-read` of the migrations folder.
 *
 * @module
 */
import { fileURLToPath } from "node:url";
import { invalid, unavailable } from "../errors.ts";
import type { Queryable } from "./connection.ts";

/** Files of one folder, run in order and remembered in a table of their own. */
export interface MigrationSet {
  folder: string;
  table: string;
}

export const MIGRATIONS_FOLDER: string = fileURLToPath(new URL("../../migrations", import.meta.url));

/** The migrations of a service's database, in the order in which they run: those that all share come first. */
export function migrationSets(service: string, root = MIGRATIONS_FOLDER): [MigrationSet, MigrationSet] {
  return [
    { folder: `${root}/_common`, table: "migrations_common" },
    { folder: `${root}/${service}`, table: "migrations" },
  ];
}

/** `000001_create_events.sql`. Other files of the folder (schema.sql) are no migrations. */
const MIGRATION_FILE = /^(\d{6}_[a-z0-9_]+)\.sql$/;

/**
 * Names of the migrations of a set, in order.
 *
 * @throws {AppError} `invalid` when two have one number, or there is no folder
 */
export async function listMigrations({ folder }: MigrationSet): Promise<string[]> {
  const names: string[] = [];
  try {
    for await (const { name } of Deno.readDir(folder)) {
      const migration = MIGRATION_FILE.exec(name)?.[1];
      if (migration !== undefined) names.push(migration);
    }
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    throw invalid(`Cannot list the migrations in ${folder}: there is no such folder`);
  }
  names.sort();
  const twin = names.find((name, index) => name.slice(0, 6) === names[index + 1]?.slice(0, 6));
  if (twin !== undefined) {
    throw invalid(
      `Cannot order the migrations in ${folder}: ${twin.slice(0, 6)} must be one migration's number`,
    );
  }
  return names;
}

export interface MigrationStatus {
  applied: string[];
  pending: string[];
}

/** What has been run and what is to run, over both sets. Looks only. */
export async function migrationStatus(
  db: Queryable,
  service: string,
  root = MIGRATIONS_FOLDER,
): Promise<MigrationStatus> {
  const status: MigrationStatus = { applied: [], pending: [] };
  for (const set of migrationSets(service, root)) {
    const applied = await appliedMigrations(db, set.table);
    for (const name of await listMigrations(set)) {
      (applied.has(name) ? status.applied : status.pending).push(name);
    }
  }
  return status;
}

async function appliedMigrations(db: Queryable, table: string): Promise<Set<string>> {
  const [found] = await db<{ there: boolean }[]>`select to_regclass(${table}) is not null as there`;
  if (!found?.there) return new Set();
  const rows = await db<{ name: string }[]>`select name from ${db(table)}`;
  return new Set(rows.map(({ name }) => name));
}

/**
 * Whether the database has had every migration that this program knows; it may have had newer ones.
 *
 * @throws {AppError} `unavailable`, naming what is missing and what to run
 */
export async function checkSchema(db: Queryable, service: string): Promise<void> {
  const { pending } = await migrationStatus(db, service);
  if (pending.length === 0) return;
  const more = pending.length === 1 ? "" : ` and ${pending.length - 1} more`;
  throw unavailable(
    `The database of ${service} lacks the migration ${pending[0]}${more}: run deno task migrate ${service}`,
  );
}
