/**
 * Running a PostgreSQL server on the loopback interface and a unix socket.
 *
 * Needs `--allow-run`, `--allow-net=127.0.0.1`, `--allow-sys=uid,gid`, and reading and writing of the home
 * folder; see also process_identity.ts.
 *
 * @module
 */

import { join } from "node:path";
import { messageOf } from "../errors.ts";
import { type Account, idsOf, MAX_SOCKET_FOLDER, serverAccount } from "./account.ts";
import { readIfThere, removeIfThere } from "./folders.ts";
import { freePort, isPortTaken, portTakenError } from "./ports.ts";
import {
  dataFolderOf,
  disownStaleLocks,
  logFileOf,
  prepareDataFolder,
  type Superuser,
} from "./postgres_data.ts";
import { attachServer, logSize, logTail, type ServerProcess, startServer } from "./server_process.ts";

export interface PostgresOptions {
  /** The folder with `initdb` and `postgres`, as `findPostgres` gives it. */
  binFolder: string;
  /**
   * Its folder, where `serverAccount()` can go: `data/`, `server.log` and the superuser's password.
   * Made, and the data initialised, when missing.
   */
  home: string;
  /** Default: any free port. */
  port?: number;
  /** The folder of the unix socket, at most 88 bytes long. Default: `home`. */
  socketFolder?: string;
  /**
   * Whether a commit is on the disk when it is answered (`fsync`, `full_page_writes`,
   * `synchronous_commit`). Default: true. Without, a crash of the machine destroys the data.
   */
  durable?: boolean;
  /** Default: 100. */
  maxConnections?: number;
  /** Where initialised data are kept to be copied; see `DataFolderOptions`. Default: none. */
  templates?: string;
  /** Whether the home folder goes when the server is stopped or its launcher ends. Default: false. */
  removeHome?: boolean;
}

/** How long a server may take until it accepts connections: after a crash it replays its log first. */
const READY_WITHIN_MS = 120_000;
/** "Fast": ends the sessions and leaves the data in order. */
const STOP_SIGNAL = "SIGINT";
/** "Immediate": for data that is thrown away, or when sessions do not end. */
const ABANDON_SIGNAL = "SIGQUIT";
/**
 * What PostgreSQL says while sessions of a server that was killed still end, or that server itself does: its
 * own guard against two servers on the same data.
 */
const STILL_IN_USE = /pre-existing shared memory block|lock file ".*" already exists/;
/** How long that may take. */
const IN_USE_FOR_MS = 30_000;
/** Between the look for a free port and the server's own use of it another program may take it. */
const PORT_ATTEMPTS = 5;

/**
 * Initialises the data folder where needed, starts the server, and waits until it accepts connections.
 * Throws when it ends instead, with the end of its log, or with the name of who holds the port it was given.
 */
export async function startPostgres(options: PostgresOptions): Promise<PostgresServer> {
  const socketFolder = socketFolderOf(options);
  if (socketFolder.length > MAX_SOCKET_FOLDER) {
    throw new Error(
      `Cannot start PostgreSQL: the path of its socket folder ${socketFolder} has ${socketFolder.length} ` +
        `characters, and a unix socket allows at most ${MAX_SOCKET_FOLDER}`,
    );
  }
  // Before the data are made, which takes a second; the server itself is the last to see.
  if (options.port !== undefined && isPortTaken(options.port)) throw await portTaken(options.port);
  const account = await serverAccount();
  try {
    const { home, binFolder, durable = true, templates } = options;
    const superuser = await prepareDataFolder(home, {
      binFolder,
      account,
      durable,
      ...(templates === undefined ? {} : { templates }),
    });
    const { process, port } = await launchOnFreePort(options, account);
    return new PostgresServer({ ...options, port }, process, superuser);
  } catch (error) {
    if (options.removeHome) await removeIfThere(options.home);
    throw error;
  }
}

/** Takes hold of a server that an earlier launcher started with these options. */
export function attachPostgres(
  options: PostgresOptions & { port: number },
  running: { pid: number; superuser: Superuser },
): PostgresServer {
  return new PostgresServer(options, attachServer(running.pid, STOP_SIGNAL), running.superuser);
}

/** A running PostgreSQL server; made by {@link startPostgres} or {@link attachPostgres}. */
export class PostgresServer implements AsyncDisposable {
  readonly #options: PostgresOptions & { port: number };
  #process: ServerProcess;
  /** May connect to every database; its password is random. */
  readonly superuser: Superuser;

  constructor(options: PostgresOptions & { port: number }, process: ServerProcess, superuser: Superuser) {
    this.#options = options;
    this.#process = process;
    this.superuser = superuser;
  }

  get pid(): number {
    return this.#process.pid;
  }

  get port(): number {
    return this.#options.port;
  }

  /** The folder of its unix socket: what libpq and postgres.js take as a host that begins with a slash. */
  get socketFolder(): string {
    return socketFolderOf(this.#options);
  }

  get logFile(): string {
    return logFileOf(this.#options.home);
  }

  isAlive(): boolean {
    return this.#process.isAlive();
  }

  /** Ends it in good order; with `removeHome` its folder goes too. Does nothing more when called again. */
  async stop(): Promise<void> {
    await this.#process.stop(this.#options.removeHome ? { signal: ABANDON_SIGNAL } : {});
    if (this.#options.removeHome) await removeIfThere(this.#options.home);
  }

  /** Ends it at once, as a crash would, and keeps its data: {@link PostgresServer.restart} brings it back. */
  async kill(): Promise<void> {
    await this.#process.stop({ signal: "SIGKILL" });
  }

  /** Starts it again on the same port and data, after {@link PostgresServer.kill} or a crash. */
  async restart(): Promise<void> {
    await this.#process.stop();
    this.#process = await launch(this.#options, await serverAccount());
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }
}

async function launchOnFreePort(
  options: PostgresOptions,
  account: Account | undefined,
): Promise<{ process: ServerProcess; port: number }> {
  if (options.port !== undefined) {
    return { port: options.port, process: await launch({ ...options, port: options.port }, account) };
  }
  for (let attempt = 1;; attempt++) {
    const port = freePort();
    try {
      return { port, process: await launch({ ...options, port }, account) };
    } catch (error) {
      if (attempt === PORT_ATTEMPTS || !isPortTaken(port)) throw error;
    }
  }
}

/** Starts the server, once the sessions of one that was killed before have ended. */
async function launch(
  options: PostgresOptions & { port: number },
  account: Account | undefined,
): Promise<ServerProcess> {
  const deadline = performance.now() + IN_USE_FOR_MS;
  while (true) {
    try {
      return await launchOnce(options, account);
    } catch (error) {
      if (performance.now() > deadline || !STILL_IN_USE.test(messageOf(error))) throw error;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }
}

async function launchOnce(
  options: PostgresOptions & { port: number },
  account: Account | undefined,
): Promise<ServerProcess> {
  await disownStaleLocks(options.home, socketFolderOf(options));
  const logFile = logFileOf(options.home);
  const logStart = await logSize(logFile);
  const process = await startServer([
    join(options.binFolder, "postgres"),
    "-D",
    dataFolderOf(options.home),
    ...Object.entries(settings(options)).flatMap(([name, value]) => ["-c", `${name}=${value}`]),
  ], {
    ...idsOf(account),
    env: {
      // Its messages are read above.
      LC_ALL: "C",
      // Sessions give back what a large batch took.
      MALLOC_TRIM_THRESHOLD_: "131072",
    },
    logFile,
    stopSignal: options.removeHome ? ABANDON_SIGNAL : STOP_SIGNAL,
    ...(options.removeHome ? { removeFolder: options.home } : {}),
  });
  const deadline = performance.now() + READY_WITHIN_MS;
  while (!(await isReady(options.home, process.pid))) {
    if (!process.isAlive()) {
      if (isPortTaken(options.port)) throw await portTaken(options.port);
      throw new Error(
        `Cannot start PostgreSQL: it ended at once; its log ${logFile} ends:\n${await logTail(
          logFile,
          logStart,
        )}`,
      );
    }
    if (performance.now() > deadline) {
      await process.stop();
      throw new Error(
        `Cannot start PostgreSQL: it accepts no connections after ${READY_WITHIN_MS / 1000} s; ` +
          `its log ${logFile} ends:\n${await logTail(logFile, logStart)}`,
      );
    }
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  return process;
}

function portTaken(port: number): Promise<Error> {
  return portTakenError("PostgreSQL", port, "stop that, or choose another port");
}

function settings(options: PostgresOptions & { port: number }): Record<string, string | number> {
  const durability = options.durable ?? true ? "on" : "off";
  return {
    listen_addresses: "127.0.0.1",
    port: options.port,
    // Quoted, since the setting is a list that a comma in the path would divide.
    unix_socket_directories: `"${socketFolderOf(options)}"`,
    max_connections: options.maxConnections ?? 100,
    shared_buffers: "32MB",
    max_wal_size: "2GB",
    // Compiling a query costs more than the small, indexed ones here take.
    jit: "off",
    fsync: durability,
    full_page_writes: durability,
    synchronous_commit: durability,
    timezone: "UTC",
    log_timezone: "UTC",
  };
}

/** The first line of `postmaster.pid` is the server's pid, the eighth its state. */
async function isReady(home: string, pid: number): Promise<boolean> {
  const lines = (await readIfThere(join(dataFolderOf(home), "postmaster.pid")))?.split("\n");
  return lines !== undefined && Number(lines[0]) === pid && lines[7]?.trim() === "ready";
}

function socketFolderOf(options: PostgresOptions): string {
  return options.socketFolder ?? options.home;
}
