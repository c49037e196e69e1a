/**
 * `deno task up`: the whole platform on this machine, until Ctrl-C.
 *
 *     deno task up                             start everything, print the addresses
 *     deno task up --only alert,console        only these services
 *     deno task up --copies model-serving=2    so many copies of it, behind one port
 *     deno task up --show-permissions          print what each service's process may do, and start nothing
 *
 * A service that ends by itself is reported with the end of its log and started again, after a growing delay. When
 * the launcher itself is killed, everything it started stops too.
 *
 * @module
 */
import { parseArgs } from "node:util";
import { messageOf } from "shared/errors.ts";
import { watchStopSignals } from "shared/lifecycle.ts";
import { silentLogger } from "shared/log.ts";
import { permissionsOf } from "./permissions.ts";
import { SERVICES } from "./services.ts";
import { type MemoryRow, type Stack, startStack } from "./stack.ts";

export { type Stack, type StackOptions, type StackService, startStack } from "./stack.ts";

/** Addresses and memory, as `up` and the demo print them. */
export async function describeStack(stack: Stack): Promise<string> {
  const services = [...stack.services.values()];
  const width = Math.max(...services.map(({ name }) => name.length), "PostgreSQL".length);
  const rows = [
    ["NATS", stack.natsUrl],
    ["PostgreSQL", `127.0.0.1:${stack.infra.postgres.port}, socket in ${stack.infra.postgres.socketFolder}`],
    ...services.map(({ name, url }) => [name, `${url}/docs`]),
  ];
  const lines = rows.map(([name, address]) => `  ${name!.padEnd(width)}  ${address}`);
  return [...lines, `  ${describeMemory(await stack.memory())}`].join("\n");
}

/** The total in one line. */
export function describeMemory(rows: readonly MemoryRow[]): string {
  const total = rows.reduce((bytes, row) => bytes + row.bytes, 0);
  const kind = rows.every((row) => row.kind === "pss")
    ? "PSS"
    : "resident, shared pages counted more than once";
  return `Memory: ${mebibytes(total)} MiB (${kind}) in all processes`;
}

const mebibytes = (bytes: number) => Math.round(bytes / 2 ** 20);

function say(line: string): void {
  Deno.stdout.writeSync(new TextEncoder().encode(`${line}\n`));
}

async function showPermissions(): Promise<void> {
  for (const row of SERVICES) {
    const database = row.database === null
      ? {}
      : { DATABASE_URL: `postgres://${row.database.name}@127.0.0.1:5542/${row.database.name}` };
    const list = await permissionsOf(row, { NATS_URL: "nats://127.0.0.1:4222", ...database });
    say([row.name, ...list].join("\n  "));
  }
}

/** `model-serving=2,...` as {@link StackOptions.copies}. */
const parseCopies = (text: string): Record<string, number> =>
  Object.fromEntries(
    text.split(",").map((part) => {
      const [name = "", count] = part.split("=");
      return [name, Number(count)];
    }),
  );

async function up({ only, copies }: { only?: string; copies?: string }): Promise<number> {
  using signals = watchStopSignals(silentLogger);
  const startedAt = performance.now();
  const starting = startStack({
    say,
    restart: true,
    ...(only === undefined ? {} : { services: only.split(",") }),
    ...(copies === undefined ? {} : { copies: parseCopies(copies) }),
  });
  const stack = await Promise.race([starting.catch(messageOf), signals.first]);
  if (typeof stack === "string") {
    // After a signal, what runs already stops because its launcher ends.
    say(stack);
    return 1;
  }
  say(`Started in ${((performance.now() - startedAt) / 1000).toFixed(1)} s:\n${await describeStack(stack)}`);
  say("Ctrl-C stops everything");
  await signals.first;
  say("Stopping");
  await stack.stop();
  return 0;
}

if (import.meta.main) {
  const { values } = parseArgs({
    options: {
      only: { type: "string" },
      copies: { type: "string" },
      "show-permissions": { type: "boolean", default: false },
    },
  });
  Deno.exit(values["show-permissions"] ? (await showPermissions(), 0) : await up(values));
}
