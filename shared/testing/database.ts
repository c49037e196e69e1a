/**
 * A database of its own for every test: cloned, in some tens of milliseconds, from a template that has had the
 * service's migrations. The PostgreSQL server is started by the first test that asks, and ends with the process.
 *
 * @module
 */
import postgres from "postgres";
import { connectDatabase, type Database } from "../db/connection.ts";
import { migrate } from "../db/migrate.ts";
import type { PostgresServer } from "../infra/postgres_process.ts";
import { sharedThrowawayPostgres } from "../infra/throwaway.ts";
import { silentLogger } from "../log.ts";

export interface TestDatabase extends AsyncDisposable {
  readonly db: Database;
  /** For connections of the test's own: those still open when it is disposed are cut. */
  readonly url: string;
}

export interface TestDatabaseOptions {
  /** For tests that stop the server; default: the one that all tests of the process share. */
  server?: PostgresServer;
}

/**
 * Makes a database as the service finds it: migrated, and owned by an ordinary role.
 *
 * ```ts
 * await using database = await createTestDatabase("alert");
 * await database.db`select 1`;
 * ```
 */
export async function createTestDatabase(
  service: string,
  options: TestDatabaseOptions = {},
): Promise<TestDatabase> {
  return await create(options, (server, admin) => ensureTemplate(server, admin, service));
}

/** Makes a database without anything in it. */
export async function createEmptyDatabase(options: TestDatabaseOptions = {}): Promise<TestDatabase> {
  return await create(options, () => "template1");
}

async function create(
  options: TestDatabaseOptions,
  templateOf: (server: PostgresServer, admin: Database) => Promise<string> | string,
): Promise<TestDatabase> {
  const server = options.server ?? await sharedThrowawayPostgres();
  const name = `test_${crypto.randomUUID().replaceAll("-", "")}`;
  await asSuperuser(server, async (admin) => {
    await ensureRole(admin, server);
    const template = await templateOf(server, admin);
    await admin`create database ${admin(name)} template ${admin(template)} owner ${admin(ROLE)}`;
  });

  const url = urlOf(server, { database: name, role: ROLE });
  const db = connectDatabase({ url, log: silentLogger });
  return {
    db,
    url,
    async [Symbol.asyncDispose]() {
      await db.end({ timeout: 1 });
      if (!server.isAlive()) return;
      await asSuperuser(server, (admin) => admin`drop database if exists ${admin(name)} with (force)`);
    },
  };
}

/** Owns the databases: tests must not pass because they were allowed more than a service is. */
const ROLE = "microml_test";
/** Of the advisory lock under which templates are made. */
const TEMPLATE_LOCK = 0x7e57;

/** The name of the service's template, made if it is not there. Test files run side by side, each in its isolate. */
async function ensureTemplate(server: PostgresServer, admin: Database, service: string): Promise<string> {
  const template = `template_${service.replaceAll("-", "_")}`;
  if (await isThere(admin, template)) return template;
  // Held by the session: it goes with the connection.
  await admin`select pg_advisory_lock(${TEMPLATE_LOCK})`;
  if (await isThere(admin, template)) return template;

  const unfinished = `unfinished_${template}`;
  await admin`drop database if exists ${admin(unfinished)} with (force)`;
  await admin`create database ${admin(unfinished)} owner ${admin(ROLE)}`;
  await migrate({ service, url: urlOf(server, { database: unfinished, role: ROLE }) });
  await admin`alter database ${admin(unfinished)} rename to ${admin(template)}`;
  return template;
}

async function isThere(admin: Database, database: string): Promise<boolean> {
  const rows = await admin`select from pg_database where datname = ${database}`;
  return rows.length > 0;
}

async function ensureRole(admin: Database, server: PostgresServer): Promise<void> {
  const [row] = await admin<{ there: boolean; password: string }[]>`
    select exists (select from pg_roles where rolname = ${ROLE}) as there,
      quote_literal(${server.superuser.password}) as password`;
  if (row?.there) return;
  try {
    await admin.unsafe(`create role ${ROLE} login password ${row?.password}`);
  } catch (error) {
    // Another test file was faster.
    if (!(error instanceof postgres.PostgresError && ["42710", "23505"].includes(error.code))) throw error;
  }
}

async function asSuperuser(
  server: PostgresServer,
  work: (admin: Database) => Promise<unknown>,
): Promise<void> {
  const url = urlOf(server, { database: "postgres", role: server.superuser.name });
  const admin = connectDatabase({ url, log: silentLogger, max: 1 });
  try {
    await work(admin);
  } finally {
    await admin.end();
  }
}

function urlOf(server: PostgresServer, { database, role }: { database: string; role: string }): string {
  const query = new URLSearchParams({ host: server.socketFolder, port: String(server.port) });
  return `postgres://${role}:${encodeURIComponent(server.superuser.password)}@/${database}?${query}`;
}
