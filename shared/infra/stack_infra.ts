/**
 * NATS and PostgreSQL for the whole stack, on the loopback interface, in the project's `.microml/`: `nats/` and
 * `postgres/` with data and logs, `infra.json` with what runs, `infra.lock`.
 *
 * Who starts them holds a lock on `infra.lock` for as long as he lives. A lock ends with its process, even with
 * one that is killed, so that whether the stack runs never depends on a pid in a file.
 *
 * Needs what the modules it imports need; `-A` in short.
 *
 * @module
 */

import { join } from "node:path";
import { serverAccount } from "./account.ts";
import { createDatabases, type DatabaseRow } from "./databases.ts";
import { removeIfThere } from "./folders.ts";
import {
  type InfraState,
  isRunningInfra,
  readInfraState,
  type RunningInfra,
  writeInfraState,
} from "./infra_state.ts";
import { attachNats, type NatsServer, startNats } from "./nats_process.ts";
import { findNatsServer } from "./nats_server.ts";
import { freePort, isPortTaken, portTakenError } from "./ports.ts";
import { readSuperuser } from "./postgres_data.ts";
import { postgresHome } from "./postgres_home.ts";
import {
  attachPostgres,
  type PostgresOptions,
  type PostgresServer,
  startPostgres,
} from "./postgres_process.ts";
import { findPostgres } from "./postgres_server.ts";
import { identify, isRunning, type ProcessIdentity } from "./process_identity.ts";
import { attachServer } from "./server_process.ts";

export interface InfraOptions {
  /** The project's folder, in which `.microml/` is made. */
  root: string;
  /** The database and role of each service; see {@link createDatabases}. */
  databases: readonly DatabaseRow[];
  /** Told in a line what happens. Default: silence. */
  say?: (line: string) => void;
  /** The nats-server program. Default: what `findNatsServer` finds or gets. */
  natsServer?: string;
  /**
   * Default: the variable `NATS_PORT`, else 4222, which the NATS command line takes when told nothing; so one
   * that is taken is an error.
   */
  natsPort?: number;
  /** Default: 8222, or any free port when that is taken. */
  natsMonitorPort?: number;
  /** Default: 5542, or any free port when that is taken. */
  postgresPort?: number;
  /** Whether nats-server keeps its heap small at the cost of processor time. Default: true. */
  smallHeap?: boolean;
  /** For tests, which can do without syncing and `initdb`. Default: durable, without templates. */
  postgres?: Pick<PostgresOptions, "durable" | "templates">;
}

/** The running servers; disposing of it stops them, unless they were only attached to. */
export interface Infra extends AsyncDisposable {
  nats: NatsServer;
  postgres: PostgresServer;
  /** The pid of the other launcher whose servers these are; `undefined` when this one started them. */
  attachedTo: number | undefined;
  /** Stops what was started here; servers attached to run on. Does nothing more when called again. */
  stop(): Promise<void>;
}

/** How long another launcher, which holds the lock, may take until its servers run: it may have to get them. */
const OTHER_READY_WITHIN_MS = 600_000;

/**
 * Starts both servers and makes the databases. When another launcher runs them already in this project, attaches
 * to those instead, and says so; what a killed launcher left running is stopped first.
 */
export async function startInfra(options: InfraOptions): Promise<Infra> {
  const { root, databases, say = () => {} } = options;
  const folder = join(root, ".microml");
  await makeProjectFolder(folder);
  using guard = new DisposableStack();
  const lock = guard.use(await Deno.open(join(folder, "infra.lock"), { create: true, write: true }));
  const running = await takeLockOrFindRunning(lock, folder, say);
  // The lock stays with servers that are started here, until they stop.
  if (running === undefined) guard.move();
  const infra = running === undefined
    ? await startOwn(folder, lock, { ...options, say })
    : await attach(folder, running, { ...options, say });
  try {
    await createDatabases(infra.postgres, databases);
  } catch (error) {
    await infra.stop();
    throw error;
  }
  return infra;
}

const stateFileOf = (folder: string): string => join(folder, "infra.json");

/** Takes the lock; or, when a living launcher holds it, waits until its servers run and returns those. */
async function takeLockOrFindRunning(
  lock: Deno.FsFile,
  folder: string,
  say: (line: string) => void,
): Promise<RunningInfra | undefined> {
  const deadline = performance.now() + OTHER_READY_WITHIN_MS;
  for (let waited = false; !(await lock.tryLock(true)); waited = true) {
    const state = await readInfraState(stateFileOf(folder));
    if (isRunningInfra(state)) return state;
    if (!waited) say(`Waiting for another launcher, which starts or stops the servers of ${folder}`);
    if (performance.now() > deadline) {
      throw new Error(
        `Cannot start NATS and PostgreSQL: another launcher holds ${folder}/infra.lock, ` +
          `and its servers do not run after ${OTHER_READY_WITHIN_MS / 60_000} minutes`,
      );
    }
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  return undefined;
}

async function attach(
  folder: string,
  running: RunningInfra,
  options: InfraOptions & { say: (line: string) => void },
): Promise<Infra> {
  const { launcher, nats, postgres } = running;
  const { say, root } = options;
  say(`NATS and PostgreSQL run already, started by process ${launcher.pid}: using those`);
  const places = await postgresHome(folder, await serverAccount(), say);
  const binary = options.natsServer ?? await findNatsServer({ root, say });
  return {
    nats: attachNats({ binary, home: join(folder, "nats") }, nats.pid, nats),
    postgres: attachPostgres({ ...places, binFolder: await findPostgres(), port: postgres.port }, {
      pid: postgres.pid,
      superuser: await readSuperuser(places.home),
    }),
    attachedTo: launcher.pid,
    stop: () => Promise.resolve(),
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
}

async function startOwn(
  folder: string,
  lock: Deno.FsFile,
  options: InfraOptions & { say: (line: string) => void },
): Promise<Infra> {
  const { root, say } = options;
  const stateFile = stateFileOf(folder);
  await using started = new AsyncDisposableStack();
  // Released in reverse: the state and the lock speak of running servers, so they go last.
  started.use(lock);
  started.defer(() => removeIfThere(stateFile));

  await stopLeftovers(await readInfraState(stateFile), say);
  const natsPort = options.natsPort ?? Number(Deno.env.get("NATS_PORT") || 4222);
  if (isPortTaken(natsPort)) {
    throw await portTakenError("NATS", natsPort, "stop that, or set NATS_PORT to a free port");
  }
  const [binary, binFolder, places] = await Promise.all([
    options.natsServer ?? findNatsServer({ root, say }),
    findPostgres({ say }),
    postgresHome(folder, await serverAccount(), say),
  ]);

  const nats = started.use(
    await startNats({
      binary,
      home: join(folder, "nats"),
      port: natsPort,
      smallHeap: options.smallHeap ?? true,
      monitorPort: portOrFree(options.natsMonitorPort ?? 8222),
    }),
  );
  const state: InfraState = {
    launcher: identityOf(Deno.pid),
    nats: { ...identityOf(nats.pid), port: nats.port, monitorPort: nats.monitorPort },
  };
  await writeInfraState(stateFile, state);
  const postgres = started.use(
    await startPostgres({
      ...options.postgres,
      ...places,
      binFolder,
      port: portOrFree(options.postgresPort ?? 5542),
    }),
  );
  const complete = { ...state, postgres: { ...identityOf(postgres.pid), port: postgres.port } };
  await writeInfraState(stateFile, complete);

  const servers = started.move();
  const stop = () => servers.disposeAsync();
  return { nats, postgres, attachedTo: undefined, stop, [Symbol.asyncDispose]: stop };
}

/**
 * Stops the servers of a launcher that is gone. They would end by themselves within seconds, which is why they
 * are not taken over.
 */
async function stopLeftovers(state: InfraState | undefined, say: (line: string) => void): Promise<void> {
  const leftovers = [
    { name: "nats-server", process: state?.nats, signal: "SIGTERM" },
    { name: "PostgreSQL", process: state?.postgres, signal: "SIGINT" },
  ] as const;
  for (const { name, process, signal } of leftovers) {
    if (process === undefined || !isRunning(process)) continue;
    say(`Stopping the ${name} (process ${process.pid}) of an earlier run that was killed`);
    await attachServer(process.pid, signal).stop();
  }
}

function identityOf(pid: number): ProcessIdentity {
  const identity = identify(pid);
  if (identity === undefined) throw new Error(`Cannot go on: process ${pid} has ended just after its start`);
  return identity;
}

function portOrFree(preferred: number): number {
  return isPortTaken(preferred) ? freePort() : preferred;
}

/** A folder that root made for itself would fail an ordinary user later, and less clearly. */
async function makeProjectFolder(folder: string): Promise<void> {
  await Deno.mkdir(folder, { recursive: true });
  const { uid } = await Deno.stat(folder);
  if (Deno.uid() !== 0 && uid !== Deno.uid()) {
    throw new Error(
      `Cannot use ${folder}: it belongs to the account ${uid}, as whom an earlier run made it; ` +
        `run as that one again, or remove it`,
    );
  }
}
