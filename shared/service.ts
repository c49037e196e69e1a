/**
 * A service as a process: settings, neighbours, app, parts, endpoints, and the way back.
 *
 * HTTP listens first, so that `/healthz` and `/readyz` tell what the start waits for; a bus or a database that is
 * away is waited for. On SIGTERM or SIGINT requests are finished first and everything is released in reverse.
 *
 * @module
 */
import type { OpenAPIHono } from "@hono/zod-openapi";
import { Registry } from "prom-client";
import type { z } from "zod";
import { type Bus, connectBus } from "./bus/connection.ts";
import { serveEndpoints } from "./bus/endpoints.ts";
import { ensureTopology } from "./bus/topology.ts";
import { type databaselessConfigSchema, describeConfigError, loadConfig } from "./config.ts";
import { type BoundEndpoint, replyText } from "./contracts/endpoint.ts";
import { connectDatabase, type Database, waitForDatabase } from "./db/connection.ts";
import { checkSchema } from "./db/schema.ts";
import { delay } from "./delay.ts";
import { AppError, messageOf } from "./errors.ts";
import { createHttpApp, type ReadyChecks } from "./http/app.ts";
import type { OtherBody } from "./http/endpoints.ts";
import type { BodyLimits } from "./http/request.ts";
import type { OpenApiDocument } from "./http/docs.ts";
import { measureMemory } from "./http/metrics.ts";
import { type HttpServer, serveHttp } from "./http/serve.ts";
import { createStartingApp } from "./http/starting_app.ts";
import { type Part, releaseInTime, Releases, startParts, watchStopSignals } from "./lifecycle.ts";
import { createLogger, type Logger } from "./log.ts";
import { patiently } from "./patience.ts";
import { VERSION } from "./version.ts";

/** The settings that every service has; those with a database also have `DATABASE_URL`. */
export type CommonConfig = z.infer<typeof databaselessConfigSchema>;

/** What an app is made from. */
export interface ServiceDeps<Config> {
  config: Config;
  log: Logger;
  bus: Bus;
  /** `undefined` where the settings have no `DATABASE_URL`. */
  db: Config extends { DATABASE_URL: string } ? Database : undefined;
  metrics: Registry;
}

/** What an app is. */
export interface ServiceApp {
  /** Served over NATS and, where they have a route, over HTTP. */
  endpoints: readonly BoundEndpoint[];
  /** Routes that need HTTP itself. */
  routes?: (app: OpenAPIHono) => void;
  otherBodies?: readonly OtherBody[];
  /** Adds to the OpenAPI document what is known at run time only. */
  describe?: (document: OpenApiDocument) => void;
  /** Limits of the body other than 8 MiB, by path pattern of a route: `{ "/v1/files/*": 2 ** 30 }`. */
  bodyLimits?: BodyLimits;
  /** Consumers, relays, watchers: started in this order, stopped in reverse. */
  parts: readonly Part[];
  /**
   * More checks of readiness; each throws to say why not. `bus` and `database` are checked unless checks of
   * these names stand here, which is for a service that can do its work without them.
   */
  ready?: ReadyChecks;
  /** What must hold before a port that copies share is opened. Default: what readiness asks for. */
  opens?: ReadyChecks;
  /** For `nats micro stats`: lag, dead letters, model version. */
  stats?: () => Promise<Record<string, unknown>>;
}

export type CreateApp<Config> = (deps: ServiceDeps<Config>) => ServiceApp | Promise<ServiceApp>;

export interface ServiceDefinition<Schema extends z.ZodObject> {
  /** Its folder under services/. */
  name: string;
  config: Schema;
  createApp: CreateApp<z.infer<Schema>>;
}

/** A schema of settings that holds the common ones. */
export type ConfigSchema = z.ZodObject & z.ZodType<CommonConfig>;

/** Runs a service until a signal ends it. Ends the process: 0 when everything was released, else 1. */
export async function runService<Schema extends ConfigSchema>(
  definition: ServiceDefinition<Schema>,
): Promise<never> {
  const config = configOrExit(definition);
  const log = createLogger(definition.name, { level: config.LOG_LEVEL, instance: config.INSTANCE });
  exitOnUncaught(log);
  using signals = watchStopSignals(log);
  const stop = config.STOP_WITH_STDIN ? Promise.race([signals.first, stdinEnd()]) : signals.first;
  const releases = new Releases(log);
  const stopping = new AbortController();
  const start = startService(definition, config, { log, releases, signal: stopping.signal }).then(
    ({ bus }) => {
      // The client reconnects for ever: what closes it for good is a mistake that a new process may not have.
      void bus.nc.closed().then((error) => {
        if (stopping.signal.aborted) return;
        log.fatal({ err: error ?? undefined }, "Ending: the connection to NATS was closed for good");
        Deno.exit(1);
      });
      return "started" as const;
    },
    (error: unknown) => {
      // What was released below it may break a start that a signal interrupted.
      if (!stopping.signal.aborted) {
        log.fatal({ err: error }, `Cannot start ${definition.name}: ${messageOf(error)}`);
      }
      return "failed" as const;
    },
  );
  const outcome = await Promise.race([start, stop]);
  const reason = outcome === "started" ? await stop : outcome;
  stopping.abort();
  if (reason !== "failed") log.info(`Stopping: ${reason} came`);
  const released = await releaseInTime(releases, log);
  if (released) log.info("Stopped");
  Deno.exit(released && reason !== "failed" ? 0 : 1);
}

/** Resolves when the other end of standard input is closed, as it is when the launcher is gone. */
async function stdinEnd(): Promise<"the end of standard input"> {
  const rest = new Uint8Array(256);
  while (await Deno.stdin.read(rest) !== null) { /* What is said there is for nobody. */ }
  return "the end of standard input";
}

function configOrExit<Schema extends ConfigSchema>(
  { name, config: schema }: ServiceDefinition<Schema>,
): z.infer<Schema> {
  try {
    return loadConfig(schema, undefined, { service: name });
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
    // There is no logger yet: its level is one of the settings.
    Deno.stderr.writeSync(new TextEncoder().encode(`${describeConfigError(error)}\n`));
    Deno.exit(1);
  }
}

/** What nobody awaits may have left anything behind, half done: ending is right, the log says why. */
function exitOnUncaught(log: Logger): void {
  globalThis.addEventListener("unhandledrejection", (event) => {
    event.preventDefault();
    log.fatal({ err: event.reason }, `Ending for an uncaught rejection: ${messageOf(event.reason)}`);
    Deno.exit(1);
  });
  globalThis.addEventListener("error", (event) => {
    event.preventDefault();
    log.fatal({ err: event.error }, `Ending for an uncaught error: ${messageOf(event.error)}`);
    Deno.exit(1);
  });
}

export interface StartOptions {
  log: Logger;
  /** Everything that is started is added here, also when the start fails. */
  releases: Releases;
  /** Ends the waiting for neighbours. Default: it lasts for as long as it takes. */
  signal?: AbortSignal;
  /** A connection made elsewhere, which is not closed here. Default: one of its own to `NATS_URL`. */
  bus?: Bus;
  /** Check each reply by its contract: for tests, since it costs time. Default false. */
  checkReplies?: boolean;
}

export interface StartedService {
  http: HttpServer;
  bus: Bus;
  db: Database | undefined;
}

/** Starts a service within this process; `options.releases` stops it. */
export async function startService<Schema extends ConfigSchema>(
  { name, createApp }: ServiceDefinition<Schema>,
  config: z.infer<Schema>,
  { log, releases, signal = new AbortController().signal, bus: givenBus, checkReplies = false }: StartOptions,
): Promise<StartedService> {
  const metrics = new Registry();
  measureMemory(metrics);

  let awaited = "its start";
  const doors: { app: { fetch(request: Request): Response | Promise<Response> } } = {
    app: createStartingApp({
      service: name,
      version: VERSION,
      instance: config.INSTANCE,
      awaits: () => awaited,
    }),
  };
  const listen = () => {
    const server = serveHttp({ fetch: (request) => doors.app.fetch(request) }, {
      host: config.HTTP_HOST,
      port: config.HTTP_PORT,
      shared: config.HTTP_SHARED_PORT,
      log,
    });
    releases.add("the HTTP server", () => server.stop());
    return server;
  };
  // On a port of its own, who asks is told what the start waits for; on a shared one that would be for a copy that can
  // answer.
  let http = config.HTTP_SHARED_PORT ? undefined : listen();

  awaited = `NATS at ${config.NATS_URL}`;
  const bus = givenBus ?? await ownBus();
  const db = await database();
  awaited = "the streams and buckets of NATS";
  // A cluster may be without a leader, and nine services at once may be more than a slow disk does in time.
  await patiently(() => ensureTopology(bus), {
    signal,
    onWait: (reason) => log.warn({ reason }, "Waiting for the streams and buckets of NATS"),
  });

  awaited = "its own parts";
  // The conditional type of `db` is decided by the schema, which only the caller knows.
  const deps = { config, log, bus, db, metrics } as unknown as ServiceDeps<z.infer<Schema>>;
  const app = await createApp(deps);
  const bound = checkReplies ? app.endpoints.map(checkedByContract) : app.endpoints;
  await startParts(app.parts, log, { into: releases });
  const endpoints = await serveEndpoints(bus, {
    service: name,
    version: VERSION,
    endpoints: bound,
    ...(app.stats === undefined ? {} : { stats: app.stats }),
    log,
  });
  releases.add("the NATS endpoints", async () => await endpoints[Symbol.asyncDispose]());

  const ready = { ...neighbourChecks(name, bus, db), ...app.ready };
  doors.app = createHttpApp({
    service: name,
    version: VERSION,
    instance: config.INSTANCE,
    endpoints: bound,
    routes: app.routes,
    otherBodies: app.otherBodies,
    describe: app.describe,
    bodyLimits: app.bodyLimits,
    ready,
    metrics,
    log,
  });
  if (http === undefined) {
    await untilReady(app.opens ?? ready, signal);
    http = listen();
  }
  // First to be released: what a request uses must outlive it.
  const server = http;
  releases.add("HTTP requests", () => server.stop());
  log.info("Started");
  return { http, bus, db };

  async function ownBus(): Promise<Bus> {
    const bus = await connectBus({ url: config.NATS_URL, name: `${name} ${config.INSTANCE}`, log, signal });
    releases.add("the bus", async () => await bus[Symbol.asyncDispose]());
    return bus;
  }

  async function database(): Promise<Database | undefined> {
    const url = (config as { DATABASE_URL?: string }).DATABASE_URL;
    if (url === undefined) return undefined;
    awaited = "the database";
    const db = connectDatabase({ url, log });
    releases.add("the database", () => db.end({ timeout: 5 }));
    await waitForDatabase(db, log, { signal });
    let told = "";
    await patiently(() => checkSchema(db, name), {
      signal,
      onWait(reason) {
        awaited = `the migrations: ${reason}`;
        if (reason !== told) log.warn({ reason }, "Waiting for the database's migrations");
        told = reason;
      },
    });
    return db;
  }
}

const READY_CHECK_MS = 50;

/** Resolves when no check has anything to say, or the signal is aborted. */
async function untilReady(checks: ReadyChecks, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    const results = await Promise.allSettled(Object.values(checks).map((check) => Promise.try(check)));
    if (results.every(({ status }) => status === "fulfilled")) return;
    await delay(READY_CHECK_MS, signal);
  }
}

/** A reply that breaks its contract is a defect of the service, and so no {@link AppError}. */
function checkedByContract(bound: BoundEndpoint): BoundEndpoint {
  const { endpoint, handler } = bound;
  return {
    ...bound,
    async handler(request, context) {
      const reply = await handler(request, context);
      // As the caller gets it: what JSON leaves out or changes counts.
      const result = endpoint.spec.reply.safeParse(JSON.parse(replyText(reply)));
      if (result.success) return reply;
      throw new Error(`The reply of ${endpoint.subject} breaks its contract: ${result.error.message}`);
    },
  };
}

function neighbourChecks(service: string, bus: Bus, db: Database | undefined): ReadyChecks {
  const checks: Record<string, () => Promise<void>> = {
    bus: async () => {
      await bus.nc.rtt();
    },
  };
  if (db !== undefined) checks["database"] = () => checkSchema(db, service);
  return checks;
}
