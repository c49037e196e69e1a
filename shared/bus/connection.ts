/**
 * The connection of a process to NATS, with what is reached through it.
 *
 * Once connected, the client reconnects for ever by itself; what is in flight when the server goes away fails
 * ({@link isBusAway}) or is repeated by the publisher and the consumers of this folder.
 *
 * @module
 */
import { jetstream, type JetStreamClient, type JetStreamManager } from "@nats-io/jetstream";
import { connect, errors, type NatsConnection } from "nats";
import { delay } from "../delay.ts";
import { messageOf } from "../errors.ts";
import type { Logger } from "../log.ts";
import { isBusAway } from "./bus_errors.ts";
import type { CrashPoint } from "./crash.ts";
import { createFileStore, type FileStore } from "./files.ts";
import type { TopologyOptions } from "./topology.ts";

export interface Bus extends AsyncDisposable {
  readonly nc: NatsConnection;
  readonly js: JetStreamClient;
  readonly jsm: JetStreamManager;
  readonly files: FileStore;
  readonly log: Logger;
  /** How streams and durables are made when they are not there. */
  readonly topology: TopologyOptions;
  /** Calls the listener after each reconnect, until the function returned is called. */
  onReconnect(listener: () => void): () => void;
  /** Only the crash-point suite sets this: every consumer on this bus calls it. */
  readonly crashPoint?: CrashPoint;
}

export interface BusOptions {
  /** `nats://[user:password@]host:port`, several with commas between. */
  url: string;
  /** Shown by the server's monitoring. */
  name: string;
  log: Logger;
  topology?: TopologyOptions;
  crashPoint?: CrashPoint;
  /** Ends the waiting for the first connect. */
  signal?: AbortSignal;
}

/** JetStream's own requests: long enough for a new leader to be elected. */
const REQUEST_TIMEOUT_MS = 2_000;
const RETRY_MS = 250;
const REMINDER_MS = 10_000;
/** Without an answer within this time, what is still in the client's buffer is given up at the end. */
const FLUSH_TIMEOUT_MS = 2_000;

/**
 * Connects, waiting for as long as NATS or its JetStream is not there, and saying so at first and then every
 * ten seconds.
 *
 * @throws what cannot become better by waiting: a malformed URL, refused credentials; the signal's reason
 */
export async function connectBus(options: BusOptions): Promise<Bus> {
  const { log, topology = {}, crashPoint } = options;
  const servers = options.url.split(",").map((server) => parseServer(server.trim()));
  const { user, password } = servers[0]!;
  const addresses = servers.map(({ address }) => address);

  const nc = await waitFor("NATS", { ...options, addresses }, () =>
    connect({
      servers: addresses,
      name: options.name,
      ...(user === undefined ? {} : { user, pass: password ?? "" }),
      maxReconnectAttempts: -1,
      reconnectTimeWait: RETRY_MS,
      // The waiting is done here, where it can be logged and ended.
      waitOnFirstConnect: false,
      pingInterval: 5_000,
      maxPingOut: 2,
      timeout: 5_000,
      // A server that restarts with its accounts not loaded yet must not end a service for good.
      ignoreAuthErrorAbort: true,
      // Stack traces over awaits cost a stack a request.
      noAsyncTraces: true,
    }));

  let releasing = false;
  const reconnectListeners = new Set<() => void>();
  void followStatus(nc, log, reconnectListeners);
  void nc.closed().then((error) => {
    if (!releasing) log.error({ err: error ?? undefined }, "The connection to NATS is closed for good");
  });

  try {
    const js = jetstream(nc, { timeout: REQUEST_TIMEOUT_MS });
    const jsm = await js.jetstreamManager(false);
    await waitFor("JetStream", { ...options, addresses }, () => jsm.getAccountInfo());
    return {
      nc,
      js,
      jsm,
      files: createFileStore(js),
      log,
      topology,
      onReconnect(listener) {
        reconnectListeners.add(listener);
        return () => reconnectListeners.delete(listener);
      },
      ...(crashPoint === undefined ? {} : { crashPoint }),
      [Symbol.asyncDispose]: release,
    };
  } catch (error) {
    await release();
    throw error;
  }

  async function release(): Promise<void> {
    if (releasing || nc.isClosed()) return;
    releasing = true;
    await flushWithin(nc, FLUSH_TIMEOUT_MS, log);
    await nc.close();
  }
}

/** Sends what the client still buffers (acknowledgements above all), as far as the server answers in time. */
export async function flushWithin(nc: NatsConnection, timeoutMs: number, log: Logger): Promise<void> {
  if (!nc.isClosed()) await answeredWithin(timeoutMs, nc.flush(), log);
}

/** Waits for a word of the server that is good to have before the end, but not worth waiting for it for long. */
export async function answeredWithin(timeoutMs: number, answer: Promise<void>, log: Logger): Promise<void> {
  const { promise: late, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, timeoutMs);
  try {
    await Promise.race([answer, late]);
  } catch (error) {
    log.debug({ err: error }, "NATS went away before it answered");
  } finally {
    clearTimeout(timer);
  }
}

interface Server {
  address: string;
  user: string | undefined;
  password: string | undefined;
}

function parseServer(text: string): Server {
  const url = URL.parse(text.includes("://") ? text : `nats://${text}`);
  if (url === null || url.hostname === "") {
    throw new TypeError(
      `Cannot connect to NATS: the URL "${text}" must be nats://[user:password@]host[:port]`,
    );
  }
  return {
    address: `${url.hostname}:${url.port || "4222"}`,
    user: url.username === "" ? undefined : decodeURIComponent(url.username),
    password: url.password === "" ? undefined : decodeURIComponent(url.password),
  };
}

interface WaitOptions {
  log: Logger;
  addresses: readonly string[];
  signal?: AbortSignal;
}

async function waitFor<T>(what: string, options: WaitOptions, attempt: () => Promise<T>): Promise<T> {
  const { log, addresses, signal } = options;
  let saidAt = -Infinity;
  while (true) {
    signal?.throwIfAborted();
    try {
      const result = await attempt();
      if (saidAt !== -Infinity) log.info({ servers: addresses }, `${what} answers`);
      return result;
    } catch (error) {
      if (error instanceof errors.AuthorizationError) {
        throw new Error(`Cannot connect to NATS at ${addresses.join(", ")}: the credentials are refused`, {
          cause: error,
        });
      }
      if (!isBusAway(error)) throw error;
      if (performance.now() - saidAt >= REMINDER_MS) {
        log.warn({ servers: addresses, reason: messageOf(error) }, `Waiting for ${what}`);
        saidAt = performance.now();
      }
    }
    await delay(RETRY_MS, signal);
  }
}

async function followStatus(
  nc: NatsConnection,
  log: Logger,
  reconnectListeners: ReadonlySet<() => void>,
): Promise<void> {
  for await (const status of nc.status()) {
    if (status.type === "disconnect") log.warn({ server: status.server }, "NATS is away: reconnecting");
    else if (status.type === "ldm") log.info({ server: status.server }, "NATS is about to stop");
    else if (status.type === "error") log.error({ err: status.error }, "NATS reports an error");
    else if (status.type === "reconnect") {
      log.info({ server: status.server }, "NATS is back");
      for (const listener of reconnectListeners) listener();
    }
  }
}
