/**
 * A service of a stack over the lives of its processes.
 *
 * @module
 */
import { messageOf } from "shared/errors.ts";
import { readableTail } from "./log_tail.ts";
import type { Environment } from "./permissions.ts";
import { type ServiceProcess, spawnService, waitUntilReady } from "./service_process.ts";
import type { ServiceRow } from "./services.ts";

/** A service of a running stack, or one copy of it. */
export interface StackService {
  /** The service's; of the second copy `<service>-2`, and so on. */
  readonly name: string;
  readonly port: number;
  /** Such as `http://127.0.0.1:8001`. */
  readonly url: string;
  readonly logFile: string;
  /** The settings it is started with. */
  readonly env: Environment;
  /** `undefined` while it does not run. */
  readonly pid: number | undefined;
}

export interface ManagedServiceOptions {
  /** Which copy of the service it is, from 1. */
  copy: number;
  env: Environment;
  logFile: string;
  /** The HTTP port of every service. */
  ports: ReadonlyMap<string, number>;
  say: (line: string) => void;
  /** Whether it is started again when it ended without being told to. */
  restart: boolean;
  readyWithinMs: number;
  smallHeap: boolean;
}

/** Services get this long to finish what they do, so that a whole stack is down within 10 s. */
const STOP_WITHIN_MS = 8_000;
const FIRST_DELAY_MS = 500;
const MAX_DELAY_MS = 30_000;
/** One that ran for this long starts over with the shortest delay. */
const STEADY_AFTER_MS = 60_000;

/** The name of a copy of a service, from 1. */
export const copyName = (service: string, copy: number): string =>
  copy === 1 ? service : `${service}-${copy}`;

/** What a copy is called in the logs of its service. */
export const instanceOf = (copy: number): string => String(copy);

export class ManagedService implements StackService {
  readonly name: string;
  readonly port: number;
  readonly url: string;
  readonly logFile: string;
  readonly env: Environment;
  readonly #row: ServiceRow;
  readonly #options: ManagedServiceOptions;
  #process: ServiceProcess | undefined;
  /** Whether its end was asked for. */
  #ending = false;
  #failures = 0;
  #startedAt = 0;
  #delay: ReturnType<typeof setTimeout> | undefined;

  constructor(row: ServiceRow, options: ManagedServiceOptions) {
    this.#row = row;
    this.#options = options;
    this.name = copyName(row.name, options.copy);
    this.port = options.ports.get(row.name) ?? row.httpPort;
    this.url = `http://127.0.0.1:${this.port}`;
    this.logFile = options.logFile;
    this.env = options.env;
  }

  get pid(): number | undefined {
    return this.#process?.isAlive() === true ? this.#process.pid : undefined;
  }

  /** Starts it and waits until it is ready. @throws with the end of its log when it does not get ready */
  async start(): Promise<void> {
    const process = await this.#spawn();
    const { url, logFile } = this;
    const { copy, readyWithinMs: timeoutMs } = this.#options;
    await waitUntilReady(this.name, process, { url, instance: instanceOf(copy), logFile, timeoutMs });
    this.#watch(process);
  }

  /** Ends it by a signal; killed when that does not end it in time. It is not started again by itself. */
  async end(signal: "SIGTERM" | "SIGKILL"): Promise<void> {
    this.#ending = true;
    clearTimeout(this.#delay);
    const process = this.#process;
    if (process === undefined) return;
    process.kill(signal);
    const patience = setTimeout(() => {
      this.#options.say(`${this.name} does not stop within ${STOP_WITHIN_MS / 1000} s: it is killed`);
      process.kill("SIGKILL");
    }, STOP_WITHIN_MS);
    await process.ended;
    clearTimeout(patience);
  }

  async #spawn(): Promise<ServiceProcess> {
    this.#ending = false;
    this.#startedAt = performance.now();
    const process = await spawnService(this.#row, { ...this.#options, env: this.env });
    this.#process = process;
    // It may have been told to end before there was a process to tell.
    if (this.#ending) process.kill("SIGKILL");
    return process;
  }

  /** From when on its end is news: until it is ready, it is the error of {@link ManagedService.start}. */
  #watch(process: ServiceProcess): void {
    void process.ended.then((status) => this.#onEnd(status));
  }

  async #startAgain(): Promise<void> {
    try {
      this.#watch(await this.#spawn());
    } catch (error) {
      this.#options.say(`${this.name} can't be started: ${messageOf(error)}`);
      this.#delay = setTimeout(() => this.#startAgain(), MAX_DELAY_MS);
    }
  }

  async #onEnd({ code, signal }: Deno.CommandStatus): Promise<void> {
    if (this.#ending) return;
    const { restart, say } = this.#options;
    if (performance.now() - this.#startedAt > STEADY_AFTER_MS) this.#failures = 0;
    const delayMs = Math.min(FIRST_DELAY_MS * 2 ** this.#failures++, MAX_DELAY_MS);
    if (restart) this.#delay = setTimeout(() => this.#startAgain(), delayMs);
    const how = signal === null ? `with code ${code}` : `by ${signal}`;
    const next = restart ? `; it is started again in ${delayMs / 1000} s` : "";
    say(
      `${this.name} ended ${how}${next}. Its log ${this.logFile} ends:\n${await readableTail(this.logFile)}`,
    );
  }
}
