/**
 * Writes `migrations/<service>/schema.sql`: the schema that the migrations of a service make, to be read and to be
 * compared in reviews. With `--check` nothing is written: it exits with 1, and shows the differences, when a dump is
 * stale.
 *
 * @module
 */
import { join } from "node:path";
import { diff, parseArgs } from "node:util";
import { connectDatabase } from "shared/db/connection.ts";
import { migrate } from "shared/db/migrate.ts";
import { MIGRATIONS_FOLDER } from "shared/db/schema.ts";
import { dumpSchema } from "shared/db/schema_dump.ts";
import { createDatabases } from "shared/infra/databases.ts";
import type { PostgresServer } from "shared/infra/postgres_process.ts";
import { startThrowawayPostgres } from "shared/infra/throwaway.ts";
import { createLogger } from "shared/log.ts";
import { DATABASE_ROWS, databaseUrl, SERVICES_WITH_DATABASE, type ServiceWithDatabase } from "./databases.ts";

const HEADER = "-- What the migrations make, written by deno task schemas: do not edit.\n\n";

const print = (text: string) => Deno.stdout.writeSync(new TextEncoder().encode(`${text}\n`));

/** The text of a service's schema.sql, by running its migrations in a database of this server. */
async function renderSchema(row: ServiceWithDatabase, server: PostgresServer): Promise<string> {
  const url = databaseUrl(row, server);
  await migrate({ service: row.name, url });
  const db = connectDatabase({ url, log: createLogger("dump", { level: "warn" }), max: 1 });
  try {
    return HEADER + await dumpSchema(db);
  } finally {
    await db.end();
  }
}

/** The lines that differ, `-` as it stands and `+` as it should be; empty when none does. */
export function describeDifference(standing: string, wanted: string): string {
  if (standing === wanted) return "";
  const marks = { "1": "-", "-1": "+" } as const;
  return diff(standing.split("\n"), wanted.split("\n"))
    .flatMap(([side, line]) => side === 0 ? [] : [`${marks[side]} ${line}`])
    .join("\n");
}

async function readIfThere(path: string): Promise<string> {
  try {
    return await Deno.readTextFile(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return "";
    throw error;
  }
}

async function main(check: boolean): Promise<boolean> {
  await using server = await startThrowawayPostgres({ durable: false });
  await createDatabases(server, DATABASE_ROWS);
  let fresh = true;
  for (const row of SERVICES_WITH_DATABASE) {
    const path = join(MIGRATIONS_FOLDER, row.name, "schema.sql");
    const wanted = await renderSchema(row, server);
    const difference = describeDifference(await readIfThere(path), wanted);
    if (difference === "") continue;
    fresh = false;
    if (check) print(`migrations/${row.name}/schema.sql is stale: run deno task schemas\n${difference}`);
    else {
      await Deno.writeTextFile(path, wanted);
      print(`migrations/${row.name}/schema.sql written`);
    }
  }
  if (fresh) print("All schema dumps are fresh");
  return fresh || !check;
}

if (import.meta.main) {
  const { values } = parseArgs({ options: { check: { type: "boolean", default: false } } });
  if (!await main(values.check)) Deno.exit(1);
}
