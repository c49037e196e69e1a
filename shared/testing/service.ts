/**
 * A service within the test's own process, put together just as its process does it.
 *
 * @module
 */
import type { z } from "zod";
import { call, type CallOptions } from "../bus/endpoints.ts";
import type { Bus } from "../bus/connection.ts";
import { loadConfig } from "../config.ts";
import type { Endpoint } from "../contracts/endpoint.ts";
import type { Database } from "../db/connection.ts";
import { Releases } from "../lifecycle.ts";
import { silentLogger } from "../log.ts";
import { type ConfigSchema, type CreateApp, startService } from "../service.ts";
import { startTestBus } from "./bus.ts";
import { createTestDatabase } from "./database.ts";

export interface TestServiceOptions {
  /** Shared with other services of the test, and not closed here. Default: one of its own. */
  bus?: Bus;
  /** Default: a database of its own, with the service's migrations. */
  databaseUrl?: string;
  /** More settings of the service. */
  env?: Readonly<Record<string, string>>;
}

/** A running service; `await using` stops it and releases what it started. */
export interface TestService extends AsyncDisposable {
  /** Such as `http://127.0.0.1:40123`. */
  readonly url: string;
  readonly bus: Bus;
  /** The service's own pool. @throws {TypeError} when the service has no database */
  readonly db: Database;
  /** Calls an endpoint over NATS, as another service would. */
  call<E extends Endpoint>(
    endpoint: E,
    request: z.input<E["spec"]["request"]>,
    options?: CallOptions,
  ): Promise<z.output<E["spec"]["reply"]>>;
  /** Stops it; can be called again. */
  stop(): Promise<void>;
}

/** A start that takes longer has failed: what it waits for does not come. */
const START_LIMIT_MS = 60_000;
/** Longer than callers wait by themselves: a test is about the answer, also where a busy machine takes its time. */
const CALL_LIMIT_MS = 30_000;

/**
 * Starts a service with HTTP on a free port and its log off. Its replies are checked: one that breaks its contract
 * becomes an internal error.
 */
export async function startTestService<Schema extends ConfigSchema>(
  name: string,
  config: Schema,
  createApp: CreateApp<z.infer<Schema>>,
  options: TestServiceOptions = {},
): Promise<TestService> {
  const releases = new Releases(silentLogger);
  const stop = () => releases[Symbol.asyncDispose]();
  try {
    const bus = options.bus ?? await ownBus();
    const databaseUrl = "DATABASE_URL" in config.shape
      ? options.databaseUrl ?? await ownDatabase()
      : undefined;
    const env = {
      // The connection is made already: this only has to have the right form.
      NATS_URL: "nats://127.0.0.1:4222",
      HTTP_PORT: "0",
      INSTANCE: "test",
      ...(databaseUrl === undefined ? {} : { DATABASE_URL: databaseUrl }),
      ...options.env,
    };
    const late = AbortSignal.timeout(START_LIMIT_MS);
    const started = await startService(
      { name, config, createApp },
      loadConfig(config, env, { service: name }),
      {
        log: silentLogger,
        releases,
        bus,
        checkReplies: true,
        signal: late,
      },
    );
    if (late.aborted) throw new Error(`Cannot start ${name}: it was not ready within ${START_LIMIT_MS} ms`);
    return {
      url: `http://127.0.0.1:${started.http.port}`,
      bus,
      get db() {
        if (started.db === undefined) throw new TypeError(`The service ${name} has no database`);
        return started.db;
      },
      call: (endpoint, request, callOptions) =>
        call(bus, endpoint, request, { timeoutMs: CALL_LIMIT_MS, ...callOptions }),
      stop,
      [Symbol.asyncDispose]: stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }

  async function ownBus(): Promise<Bus> {
    const bus = await startTestBus();
    releases.add("the test's bus", async () => await bus[Symbol.asyncDispose]());
    return bus;
  }

  async function ownDatabase(): Promise<string> {
    const database = await createTestDatabase(name);
    releases.add("the test's database", async () => await database[Symbol.asyncDispose]());
    return database.url;
  }
}
