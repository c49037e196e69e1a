/**
 * The whole platform on this machine: NATS, PostgreSQL, the databases with their migrations, and the services as
 * processes. Several stacks run side by side when each has a root folder and ports of its own.
 *
 * @module
 */
import { dirname, join } from "node:path";
import { migrate } from "shared/db/migrate.ts";
import { findNatsServer } from "shared/infra/nats_server.ts";
import { freePort } from "shared/infra/ports.ts";
import { type Infra, startInfra } from "shared/infra/stack_infra.ts";
import { databaseRow, databaseUrl, hasDatabase } from "./databases.ts";
import { gitRevision } from "./git_revision.ts";
import { copyName, instanceOf, ManagedService, type StackService } from "./managed_service.ts";
import { memoryOf, type MemoryUse } from "./memory.ts";
import { type Environment, ROOT, settingsOf } from "./permissions.ts";
import { secretsKey } from "./secrets_key.ts";
import { refuseTakenPort } from "./service_process.ts";
import { type ServiceRow, SERVICES } from "./services.ts";

export type { StackService } from "./managed_service.ts";

export interface StackOptions {
  /** The folder in which `.microml/` holds data and logs. Default: the repository. */
  root?: string;
  /** `fixed`: those of the table of services, 4222 for NATS. `free`: any. Default `fixed`. */
  ports?: "fixed" | "free";
  /** Names of the services to run. Default: all. */
  services?: readonly string[];
  /** Copies of services that may have several, behind one port: `{ "model-serving": 2 }`. Default: one of each. */
  copies?: Readonly<Record<string, number>>;
  /** More settings, for every service that knows them. */
  env?: Environment;
  /** Told in a line what happens. Default: silence. */
  say?: (line: string) => void;
  /** Start a service again that ended without being told to, after a growing delay. Default false. */
  restart?: boolean;
  /** How long a service may take until it is ready. Default 60 s. */
  readyWithinMs?: number;
  /** Keep the heaps of the services and of NATS small at the cost of processor time. Default true. */
  smallHeap?: boolean;
}

export interface MemoryRow extends MemoryUse {
  name: string;
}

export interface Stack extends AsyncDisposable {
  readonly infra: Infra;
  /** Such as `nats://127.0.0.1:4222`. */
  readonly natsUrl: string;
  /** By name; the second copy of a service is `<service>-2`. */
  readonly services: ReadonlyMap<string, StackService>;
  /** The address of a service's database. @throws {TypeError} when it has none */
  databaseUrl(name: string): string;
  /** Ends a service at once, as a crash would. It stays away until it is restarted. */
  kill(name: string): Promise<void>;
  /** Stops a service in good order if it runs, and starts it; resolves when it is ready. */
  restart(name: string): Promise<void>;
  /** The memory of NATS, PostgreSQL, every service and the launcher. */
  memory(): Promise<MemoryRow[]>;
  /** Stops the services, the last first, then PostgreSQL and NATS; what does not stop in time is killed. */
  stop(): Promise<void>;
}

/** Starts everything and resolves when every service is ready; what was started is stopped again when that fails. */
export async function startStack(options: StackOptions = {}): Promise<Stack> {
  const { root = ROOT, ports = "fixed", say = () => {}, env = {}, readyWithinMs = 60_000 } = options;
  const rows = chosenServices(options.services);
  const copies = checkedCopies(options.copies ?? {}, rows);
  const portOf = new Map(SERVICES.map((row) => [row.name, ports === "fixed" ? row.httpPort : freePort()]));
  for (const { name } of rows) await refuseTakenPort(name, portOf.get(name)!);

  const infra = await startStackInfra(root, { rows, ports, say, smallHeap: options.smallHeap ?? true });
  const services = new Map<string, ManagedService>();
  let stopped: Promise<void> | undefined;
  const stack: Stack = {
    infra,
    natsUrl: infra.nats.url,
    services,
    databaseUrl(name) {
      const row = rowOf(name);
      if (!hasDatabase(row)) throw new TypeError(`The service ${name} has no database`);
      return databaseUrl(row, infra.postgres);
    },
    kill,
    restart,
    memory,
    stop,
    [Symbol.asyncDispose]: stop,
  };
  try {
    const logs = join(root, ".microml", "log");
    await Deno.mkdir(logs, { recursive: true });
    const common = { SECRETS_KEY: await secretsKey(root), GIT_REVISION: await gitRevision(ROOT) };
    for (const row of rows) {
      for (let copy = 1; copy <= (copies[row.name] ?? 1); copy++) {
        const service = await manage(row, { copy, given: { ...common, ...env }, logs });
        services.set(service.name, service);
      }
    }
    // The services load while the migrations run, and wait for them.
    const [migrated, started] = await Promise.allSettled([
      migrateAll(rows, infra, say),
      Promise.all([...services.values()].map((service) => service.start())),
    ]);
    for (const result of [migrated, started]) if (result.status === "rejected") throw result.reason;
    return stack;
  } catch (error) {
    await stop();
    throw error;
  }

  async function manage(
    row: ServiceRow,
    { copy, given, logs }: { copy: number; given: Environment; logs: string },
  ): Promise<ManagedService> {
    const logFile = join(logs, `${copyName(row.name, copy)}.log`);
    await keepPrevious(logFile);
    const known = new Set(await settingsOf(row));
    const settings = {
      ...given,
      NATS_URL: infra.nats.url,
      HTTP_PORT: String(portOf.get(row.name)),
      HTTP_SHARED_PORT: String((copies[row.name] ?? 1) > 1),
      INSTANCE: instanceOf(copy),
      ...(hasDatabase(row) ? { DATABASE_URL: databaseUrl(row, infra.postgres) } : {}),
      SERVICE_PORTS: SERVICES.map(({ name }) => `${name}=${portOf.get(name)}`).join(","),
    };
    return new ManagedService(row, {
      copy,
      env: Object.fromEntries(Object.entries(settings).filter(([name]) => known.has(name))),
      logFile,
      ports: portOf,
      say,
      restart: options.restart ?? false,
      readyWithinMs,
      smallHeap: options.smallHeap ?? true,
    });
  }

  function managed(name: string): ManagedService {
    const service = services.get(name);
    if (service === undefined) throw new TypeError(`There is no service "${name}" in this stack`);
    return service;
  }

  async function kill(name: string): Promise<void> {
    await managed(name).end("SIGKILL");
  }

  async function restart(name: string): Promise<void> {
    const service = managed(name);
    await service.end("SIGTERM");
    await service.start();
  }

  async function memory(): Promise<MemoryRow[]> {
    const processes = [
      { name: "NATS", pid: infra.nats.pid },
      { name: "PostgreSQL", pid: infra.postgres.pid },
      ...[...services.values()].map(({ name, pid }) => ({ name, pid })),
    ];
    const own = { name: "launcher", ...await memoryOf(Deno.pid, { withChildren: false }) };
    const others = processes.map(async ({ name, pid }): Promise<MemoryRow> => ({
      name,
      ...(pid === undefined ? { bytes: 0, kind: "pss" as const } : await memoryOf(pid)),
    }));
    return [...await Promise.all(others), own];
  }

  function stop(): Promise<void> {
    return stopped ??= stopAll();
  }

  async function stopAll(): Promise<void> {
    await Promise.all([...services.values()].reverse().map((service) => service.end("SIGTERM")));
    await infra.stop();
  }
}

function chosenServices(names: readonly string[] | undefined): ServiceRow[] {
  if (names === undefined) return [...SERVICES];
  names.forEach(rowOf);
  return SERVICES.filter(({ name }) => names.includes(name));
}

/** @throws {TypeError} for a service that does not run, or of which there is one copy only */
function checkedCopies(
  copies: Readonly<Record<string, number>>,
  rows: readonly ServiceRow[],
): Readonly<Record<string, number>> {
  for (const [name, count] of Object.entries(copies)) {
    const row = rows.find((row) => row.name === name);
    if (row?.manyCopies !== true) {
      const able = rows.filter(({ manyCopies }) => manyCopies).map(({ name }) => name).join(", ");
      throw new TypeError(`Cannot run copies of "${name}": only of ${able || "none of those that run"}`);
    }
    if (!Number.isInteger(count) || count < 1) {
      throw new TypeError(`Cannot run ${count} copies of "${name}": it must be a whole number from 1`);
    }
  }
  return copies;
}

function rowOf(name: string): ServiceRow {
  const row = SERVICES.find((row) => row.name === name);
  if (row !== undefined) return row;
  throw new TypeError(
    `There is no service "${name}": there are ${SERVICES.map(({ name }) => name).join(", ")}`,
  );
}

async function startStackInfra(
  root: string,
  { rows, ports, say, smallHeap }: {
    rows: readonly ServiceRow[];
    ports: "fixed" | "free";
    say: (line: string) => void;
    smallHeap: boolean;
  },
): Promise<Infra> {
  if (root !== ROOT) await shareNatsServer(root, say);
  return await startInfra({
    root,
    databases: rows.filter(hasDatabase).map(databaseRow),
    say,
    smallHeap,
    ...(ports === "free"
      ? { natsPort: freePort(), natsMonitorPort: freePort(), postgresPort: freePort() }
      : {}),
  });
}

/** A stack with a folder of its own uses the repository's copy of nats-server instead of fetching one more. */
async function shareNatsServer(root: string, say: (line: string) => void): Promise<void> {
  const link = join(root, ".microml", "bin", "nats-server");
  await Deno.mkdir(dirname(link), { recursive: true });
  try {
    await Deno.symlink(await findNatsServer({ say }), link);
  } catch (error) {
    if (!(error instanceof Deno.errors.AlreadyExists)) throw error;
  }
}

async function migrateAll(
  rows: readonly ServiceRow[],
  infra: Infra,
  say: (line: string) => void,
): Promise<void> {
  await Promise.all(
    rows.filter(hasDatabase).map(async (row) => {
      const ran = await migrate({ url: databaseUrl(row, infra.postgres), service: row.name });
      if (ran.length > 0) say(`Migrated ${row.name}: ${ran.join(", ")}`);
    }),
  );
}

/** Logs begin with the stack; those of the run before stay beside them. */
async function keepPrevious(logFile: string): Promise<void> {
  try {
    await Deno.rename(logFile, logFile.replace(/\.log$/, ".previous.log"));
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}
