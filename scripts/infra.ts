/**
 * `deno task infra`: runs only NATS and PostgreSQL, until Ctrl-C, with a database for each service.
 *
 * Needs `-A`: it starts programs, and reads `/proc` to tell its own from others.
 *
 * @module
 */
import { messageOf } from "shared/errors.ts";
import { type Infra, startInfra } from "shared/infra/stack_infra.ts";
import { DATABASE_ROWS } from "./databases.ts";
import { ROOT } from "./permissions.ts";

/** How often the servers are looked at. */
const LOOK_EVERY_MS = 250;

/** Runs until a signal comes (exit code 0) or a server ends by itself (1). */
async function main(): Promise<number> {
  await using infra = await startInfra({ root: ROOT, databases: DATABASE_ROWS, say });
  say(describe(infra));
  if (infra.attachedTo !== undefined) return 0;
  say("Ctrl-C stops both");

  // Only now: until here a signal ends this process at once, and what it started ends with it.
  let isStopping = false;
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    Deno.addSignalListener(signal, () => isStopping = true);
  }
  while (!isStopping) {
    for (const [name, server] of [["nats-server", infra.nats], ["PostgreSQL", infra.postgres]] as const) {
      if (server.isAlive()) continue;
      say(`Stopping: ${name} ended by itself; its log is ${server.logFile}`);
      return 1;
    }
    await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY_MS));
  }
  return 0;
}

/** The addresses, in the forms in which one uses them. */
function describe({ nats, postgres }: Infra): string {
  return [
    `NATS        ${nats.url}, monitoring ${nats.monitorUrl}, log ${nats.logFile}`,
    `PostgreSQL  127.0.0.1:${postgres.port}, socket in ${postgres.socketFolder}, log ${postgres.logFile}`,
    ...DATABASE_ROWS.map(({ database, role, password }) =>
      `            postgres://${role}:${password}@127.0.0.1:${postgres.port}/${database}`
    ),
  ].join("\n");
}

function say(line: string): void {
  Deno.stdout.writeSync(new TextEncoder().encode(`${line}\n`));
}

if (import.meta.main) {
  try {
    Deno.exit(await main());
  } catch (error) {
    say(messageOf(error));
    Deno.exit(1);
  }
}
