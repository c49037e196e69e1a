/**
 * Migrations: plain numbered SQL (`migrations/<service>/000001_create_events.sql`, with `-- Up Migration` and
 * `-- Down Migration`), run by node-pg-migrate. What all services share (`migrations/_common`) comes first.
 *
 * All pending migrations of a set run in one transaction, under an advisory lock: several runners at once wait
 * for each other. A file that comes before one that has run is refused.
 *
 * Needs `--allow-env`, `--allow-read` of the project, and the network or the folder of the socket. For scripts and
 * tests: a service does not migrate its own database.
 *
 * @module
 */
import { runner } from "node-pg-migrate";
import pg from "pg";
import { AppError, messageOf, unavailable } from "../errors.ts";
import { describeAddress, parseDatabaseUrl } from "./address.ts";
import { listMigrations, MIGRATIONS_FOLDER, type MigrationSet, migrationSets } from "./schema.ts";

export interface MigrateOptions {
  /** The service's database. */
  url: string;
  service: string;
  /** Default: up, all of them. Down undoes the last one: of the service's own, then of the shared ones. */
  direction?: "up" | "down";
  /** How many to undo; default 1. */
  count?: number;
  /** Default: the project's own. */
  folder?: string;
}

/** Runs migrations and gives the names of those it ran, in order. */
export async function migrate(options: MigrateOptions): Promise<string[]> {
  const { service, direction = "up", count = 1, folder = MIGRATIONS_FOLDER } = options;
  const address = parseDatabaseUrl(options.url);
  const sets = migrationSets(service, folder);
  await Promise.all(sets.map(listMigrations));

  const client = new pg.Client({
    ...address,
    application_name: "microml migrate",
    connectionTimeoutMillis: 10_000,
    // Migration times are written as local times: they must keep their order on every machine.
    options: "-c TimeZone=UTC",
  });
  // A connection lost between two queries is reported by the next query.
  client.on("error", () => undefined);
  try {
    await client.connect();
  } catch (error) {
    throw unavailable(`Cannot migrate ${service}: ${describeAddress(address)}: ${messageOf(error)}`, {
      cause: error,
    });
  }
  try {
    const ran: string[] = [];
    if (direction === "up") {
      for (const set of sets) ran.push(...await run(set, Infinity));
    } else {
      for (const set of sets.reverse()) {
        if (ran.length < count) ran.push(...await run(set, count - ran.length));
      }
    }
    return ran;
  } finally {
    await client.end();
  }

  async function run(set: MigrationSet, most: number): Promise<string[]> {
    const complaints: string[] = [];
    const complain = (message: string) => void complaints.push(message.trim());
    try {
      const ran = await runner({
        dbClient: client,
        dir: set.folder,
        ignorePattern: "(?!\\d{6}_[a-z0-9_]+\\.sql$).*",
        migrationsTable: set.table,
        direction,
        count: most,
        checkOrder: true,
        singleTransaction: true,
        advisoryLockMode: "wait",
        logger: { info: () => undefined, warn: complain, error: complain },
      });
      return ran.map(({ name }) => name);
    } catch (error) {
      // The runner's complaints show where in the SQL the mistake is.
      const detail = [messageOf(error), ...complaints].join("\n");
      throw new AppError("internal", `Cannot migrate ${service}: ${detail}`, { cause: error });
    }
  }
}
