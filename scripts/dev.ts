/**
 * `deno task dev` in a service's folder: runs that service, starts it again whenever one of its files changes, and
 * prints its log for people. NATS and PostgreSQL are started where they do not run, and its migrations are run.
 *
 * Settings, the later winning: the root's `.env`, the service's `.env`, the servers just mentioned, the environment.
 *
 * @module
 */
import { join } from "node:path";
import { parseEnv } from "node:util";
import { migrate } from "shared/db/migrate.ts";
import { messageOf } from "shared/errors.ts";
import { startInfra } from "shared/infra/stack_infra.ts";
import { watchStopSignals } from "shared/lifecycle.ts";
import { silentLogger } from "shared/log.ts";
import { DATABASE_ROWS, databaseUrl, hasDatabase } from "./databases.ts";
import { gitRevision } from "./git_revision.ts";
import { readableLine } from "./log_tail.ts";
import { type Environment, ROOT, settingsOf } from "./permissions.ts";
import { secretsKey } from "./secrets_key.ts";
import { commandOf, runtimeEnvironment } from "./service_process.ts";
import { type ServiceRow, SERVICES } from "./services.ts";

/** The settings of a service in development, without those of the running servers. */
export async function developmentSettings(
  row: ServiceRow,
  environment: (name: string) => string | undefined,
): Promise<{ fromFiles: Environment; fromEnvironment: Environment }> {
  const files = await Promise.all([
    Deno.readTextFile(join(ROOT, ".env")),
    Deno.readTextFile(join(ROOT, "services", row.name, ".env")),
  ]);
  const names = await settingsOf(row);
  const given = (read: (name: string) => string | undefined): Environment =>
    Object.fromEntries(names.flatMap((name) => {
      const value = read(name);
      return value === undefined || value === "" ? [] : [[name, value]];
    }));
  const written: Record<string, string | undefined> = Object.assign(
    {},
    ...files.map((text) => parseEnv(text)),
  );
  return { fromFiles: given((name) => written[name]), fromEnvironment: given(environment) };
}

async function dev(row: ServiceRow): Promise<void> {
  using signals = watchStopSignals(silentLogger);
  const { fromFiles, fromEnvironment } = await developmentSettings(row, Deno.env.get);
  await using infra = await startInfra({ root: ROOT, databases: DATABASE_ROWS, say });
  const known = await settingsOf(row);
  const env = {
    ...(known.includes("SECRETS_KEY") ? { SECRETS_KEY: await secretsKey(ROOT) } : {}),
    ...(known.includes("GIT_REVISION") ? { GIT_REVISION: await gitRevision(ROOT) } : {}),
    ...fromFiles,
    NATS_URL: infra.nats.url,
    ...(hasDatabase(row) ? { DATABASE_URL: databaseUrl(row, infra.postgres) } : {}),
    ...fromEnvironment,
  };
  if (env.DATABASE_URL !== undefined) await migrate({ url: env.DATABASE_URL, service: row.name });
  const [program, ...args] = await commandOf(row, { env }, ["--watch"]);
  const child = new Deno.Command(program, {
    args,
    cwd: ROOT,
    clearEnv: true,
    env: { ...runtimeEnvironment(), ...env },
    stdin: "null",
    stdout: "piped",
  }).spawn();
  const printed = printLog(child.stdout);
  await Promise.race([signals.first, child.status]);
  try {
    child.kill("SIGTERM");
  } catch (error) {
    // The Ctrl-C reached it too.
    if (!(error instanceof TypeError)) throw error;
  }
  await child.status;
  await printed;
}

async function printLog(stream: ReadableStream<Uint8Array>): Promise<void> {
  let rest = "";
  for await (const text of stream.pipeThrough(new TextDecoderStream())) {
    const lines = (rest + text).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) say(readableLine(line));
  }
}

function say(line: string): void {
  Deno.stdout.writeSync(new TextEncoder().encode(`${line}\n`));
}

if (import.meta.main) {
  const row = SERVICES.find(({ name }) => name === Deno.args[0]);
  if (row === undefined) {
    say(`Usage: deno run -A scripts/dev.ts SERVICE, one of ${SERVICES.map(({ name }) => name).join(", ")}`);
    Deno.exit(2);
  }
  try {
    await dev(row);
    Deno.exit(0);
  } catch (error) {
    say(messageOf(error));
    Deno.exit(1);
  }
}
