/**
 * Running a nats-server with JetStream on disk, on the loopback interface.
 *
 * Needs `--allow-run`, `--allow-net=127.0.0.1`, and reading and writing of the home folder; see also
 * process_identity.ts.
 *
 * @module
 */

import { join } from "node:path";
import { removeIfThere } from "./folders.ts";
import { isPortTaken, portTakenError } from "./ports.ts";
import { attachServer, logSize, logTail, type ServerProcess, startServer } from "./server_process.ts";

export interface NatsOptions {
  /** The program, as `findNatsServer` gives it. */
  binary: string;
  /** Its folder: `jetstream/`, `server.json` (its configuration) and `server.log`. Made when missing. */
  home: string;
  /** Default: any free port. */
  port?: number;
  /** Port of the monitoring pages (`/varz`, `/jsz`, `/healthz`). Default: any free port. */
  monitorPort?: number;
  /** Whether it rather collects garbage than grow, at the cost of processor time. Default: true. */
  smallHeap?: boolean;
  /** Whether the home folder goes when the server is stopped or its launcher ends. Default: false. */
  removeHome?: boolean;
}

export interface NatsPorts {
  port: number;
  monitorPort: number;
}

/** How long a server may take until it accepts connections: it reads its streams first. */
const READY_WITHIN_MS = 60_000;
/** nats-server's own word for "choose a free port". */
const ANY_PORT = -1;
const STOP_SIGNAL = "SIGTERM";

/**
 * Starts nats-server and waits until it accepts connections.
 * Throws when it ends instead, with the end of its log, or with the name of who holds a port it was given.
 */
export async function startNats(options: NatsOptions): Promise<NatsServer> {
  await Deno.mkdir(options.home, { recursive: true, mode: 0o700 });
  try {
    const { process, ports } = await launch(options, {
      port: options.port ?? ANY_PORT,
      monitorPort: options.monitorPort ?? ANY_PORT,
    });
    return new NatsServer(options, process, ports);
  } catch (error) {
    if (options.removeHome) await removeIfThere(options.home);
    throw error;
  }
}

/** Takes hold of a nats-server that an earlier launcher started with these options. */
export function attachNats(options: NatsOptions, pid: number, ports: NatsPorts): NatsServer {
  return new NatsServer(options, attachServer(pid, STOP_SIGNAL), ports);
}

/** A running nats-server; made by {@link startNats} or {@link attachNats}. */
export class NatsServer implements AsyncDisposable {
  readonly #options: NatsOptions;
  readonly #ports: NatsPorts;
  #process: ServerProcess;

  constructor(options: NatsOptions, process: ServerProcess, ports: NatsPorts) {
    this.#options = options;
    this.#process = process;
    this.#ports = ports;
  }

  get pid(): number {
    return this.#process.pid;
  }

  get port(): number {
    return this.#ports.port;
  }

  get monitorPort(): number {
    return this.#ports.monitorPort;
  }

  /** Such as `nats://127.0.0.1:4222`. */
  get url(): string {
    return `nats://127.0.0.1:${this.port}`;
  }

  /** Such as `http://127.0.0.1:8222`. */
  get monitorUrl(): string {
    return `http://127.0.0.1:${this.monitorPort}`;
  }

  get logFile(): string {
    return logFileOf(this.#options);
  }

  isAlive(): boolean {
    return this.#process.isAlive();
  }

  /** Ends it in good order; with `removeHome` its folder goes too. Does nothing more when called again. */
  async stop(): Promise<void> {
    await this.#process.stop();
    if (this.#options.removeHome) await removeIfThere(this.#options.home);
  }

  /** Ends it at once, as a crash would, and keeps its data: {@link NatsServer.restart} brings it back. */
  async kill(): Promise<void> {
    await this.#process.stop({ signal: "SIGKILL" });
  }

  /** Starts it again on the same ports and data, after {@link NatsServer.kill} or a crash. */
  async restart(): Promise<void> {
    await this.#process.stop();
    const { process } = await launch(this.#options, this.#ports);
    this.#process = process;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }
}

/** From here on the server rather collects garbage than grow; it is no limit to what it may need. */
const MEMORY_GOAL = "48MiB";

async function launch(
  options: NatsOptions,
  wanted: NatsPorts,
): Promise<{ process: ServerProcess; ports: NatsPorts }> {
  const configFile = join(options.home, "server.json");
  await Deno.writeTextFile(configFile, JSON.stringify(configuration(options.home, wanted), null, 2));
  const logFile = logFileOf(options);
  const logStart = await logSize(logFile);
  const process = await startServer([options.binary, "-c", configFile], {
    logFile,
    stopSignal: STOP_SIGNAL,
    env: options.smallHeap === false ? {} : { GOMEMLIMIT: MEMORY_GOAL },
    ...(options.removeHome ? { removeFolder: options.home } : {}),
  });
  const deadline = performance.now() + READY_WITHIN_MS;
  while (true) {
    const ports = await readPorts(options.home, process.pid);
    if (ports !== undefined) return { process, ports };
    if (!process.isAlive()) throw await explainEnd(wanted, logFile, logStart);
    if (performance.now() > deadline) {
      await process.stop();
      throw new Error(
        `Cannot start nats-server: it accepts no connections after ${READY_WITHIN_MS / 1000} s; ` +
          `its log ${logFile} ends:\n${await logTail(logFile, logStart)}`,
      );
    }
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

/** nats-server reads JSON as a subset of its own format. */
function configuration(home: string, { port, monitorPort }: NatsPorts): Record<string, unknown> {
  return {
    server_name: "microml",
    listen: `127.0.0.1:${port}`,
    http: `127.0.0.1:${monitorPort}`,
    // The server writes the ports it chose to this folder once it accepts connections.
    ports_file_dir: home,
    jetstream: {
      store_dir: home,
      // The sum of what all streams may reserve. The default is three quarters of the free disk, with which a
      // small disk refuses streams that would never grow to their bounds.
      max_file_store: 2 ** 40,
      max_memory_store: 2 ** 28,
    },
  };
}

/** The ports of the server with this pid; `undefined` until it accepts connections. */
async function readPorts(home: string, pid: number): Promise<NatsPorts | undefined> {
  for await (const { name } of Deno.readDir(home)) {
    if (!name.endsWith(`_${pid}.ports`)) continue;
    const text = await Deno.readTextFile(join(home, name));
    // Seen between its creation and its writing.
    if (text === "") return undefined;
    const written: { nats?: string[]; monitoring?: string[] } = JSON.parse(text);
    return { port: portOf(written.nats), monitorPort: portOf(written.monitoring) };
  }
  return undefined;
}

function portOf(urls: readonly string[] | undefined): number {
  const port = urls?.[0]?.match(/:(\d+)\/?$/)?.[1];
  if (port === undefined) throw new Error(`Cannot read the ports that nats-server chose: got ${urls}`);
  return Number(port);
}

async function explainEnd(wanted: NatsPorts, logFile: string, logStart: number): Promise<Error> {
  for (const port of [wanted.port, wanted.monitorPort]) {
    if (port !== ANY_PORT && isPortTaken(port)) {
      return await portTakenError("nats-server", port, "stop that, or choose another port");
    }
  }
  return new Error(
    `Cannot start nats-server: it ended at once; its log ${logFile} ends:\n${await logTail(
      logFile,
      logStart,
    )}`,
  );
}

function logFileOf(options: NatsOptions): string {
  return join(options.home, "server.log");
}
