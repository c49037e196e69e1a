/**
 * Runs the migrations of the services' databases: `deno task migrate [service ...] [up|down|status]`.
 *
 * @module
 */
import { parseArgs } from "node:util";
import { connectDatabase, waitForDatabase } from "shared/db/connection.ts";
import { migrate } from "shared/db/migrate.ts";
import { migrationStatus } from "shared/db/schema.ts";
import { invalid, messageOf } from "shared/errors.ts";
import { startInfra } from "shared/infra/stack_infra.ts";
import { createLogger } from "shared/log.ts";
import { DATABASE_ROWS, databaseUrl, SERVICES_WITH_DATABASE, type ServiceWithDatabase } from "./databases.ts";
import { ROOT } from "./permissions.ts";

const USAGE = `Usage: deno task migrate [SERVICE ...] [up|down|status]

  up       run what is pending (the default)
  down     undo the last migration of the services named
  status   show what has been run and what is pending

  Without a service: all of them, in the databases of .microml/, which are started for it where they do not run.
  With one service, the variable DATABASE_URL may name another database.`;

const ACTIONS = ["up", "down", "status"] as const;
type Action = (typeof ACTIONS)[number];

interface Command {
  action: Action;
  services: readonly ServiceWithDatabase[];
  /** One service's database, elsewhere. */
  url: string | undefined;
}

const print = (text: string) => Deno.stdout.writeSync(new TextEncoder().encode(`${text}\n`));

/** Reads the command line. @throws {AppError} `invalid` */
export function parseCommand(positionals: readonly string[], url: string | undefined): Command {
  const action = ACTIONS.find((name) => name === positionals.at(-1));
  const names = action === undefined ? positionals : positionals.slice(0, -1);
  const services = names.map((name) => {
    const row = SERVICES_WITH_DATABASE.find((service) => service.name === name);
    if (row !== undefined) return row;
    const known = SERVICES_WITH_DATABASE.map((service) => service.name).join(", ");
    throw invalid(`Cannot migrate "${name}": it must be up, down, status, or one of ${known}`);
  });
  if (action === "down" && services.length === 0) {
    throw invalid("Cannot undo a migration of every service at once: the services must be named");
  }
  return {
    action: action ?? "up",
    services: services.length === 0 ? SERVICES_WITH_DATABASE : services,
    url: services.length === 1 ? url : undefined,
  };
}

async function run({ action, services, url }: Command): Promise<boolean> {
  if (url !== undefined) return await runAll(action, services, () => url);
  await using infra = await startInfra({ root: ROOT, databases: DATABASE_ROWS, say: print });
  return await runAll(action, services, (row) => databaseUrl(row, infra.postgres));
}

/** All at once; one that fails does not stop the others. */
async function runAll(
  action: Action,
  services: readonly ServiceWithDatabase[],
  urlOf: (row: ServiceWithDatabase) => string,
): Promise<boolean> {
  const outcomes = await Promise.all(services.map(async (row) => {
    try {
      print(`${row.name}: ${await runOne(action, row.name, urlOf(row))}`);
      return true;
    } catch (error) {
      print(`${row.name}: ${messageOf(error)}`);
      return false;
    }
  }));
  return outcomes.every(Boolean);
}

async function runOne(action: Action, service: string, url: string): Promise<string> {
  const log = createLogger("migrate", { level: "warn" });
  const db = connectDatabase({ url, log, max: 1, name: "microml migrate" });
  try {
    await waitForDatabase(db, log);
    if (action === "status") {
      const { applied, pending } = await migrationStatus(db, service);
      return `${applied.length} run, ${pending.length} pending${list(pending)}`;
    }
    const ran = await migrate({ service, url, direction: action });
    if (action === "down") return ran.length === 0 ? "nothing to undo" : `undone${list(ran)}`;
    return ran.length === 0 ? "up to date" : `${ran.length} run${list(ran)}`;
  } finally {
    await db.end();
  }
}

const list = (names: readonly string[]) => names.length === 0 ? "" : `: ${names.join(", ")}`;

if (import.meta.main) {
  try {
    const { values, positionals } = parseArgs({
      allowPositionals: true,
      options: { help: { type: "boolean", default: false } },
    });
    if (values.help) print(USAGE);
    else if (!await run(parseCommand(positionals, Deno.env.get("DATABASE_URL") || undefined))) Deno.exit(1);
  } catch (error) {
    print(messageOf(error));
    Deno.exit(1);
  }
}
