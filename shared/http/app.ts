/**
 * The HTTP side of a service: its endpoints and routes, and what every service answers besides.
 *
 * @module
 */
import { OpenAPIHono } from "@hono/zod-openapi";
import type { Registry } from "prom-client";
import type { BoundEndpoint } from "../contracts/endpoint.ts";
import { messageOf } from "../errors.ts";
import type { Logger } from "../log.ts";
import { addDocs, type OpenApiDocument } from "./docs.ts";
import { addEndpointRoutes, type OtherBody } from "./endpoints.ts";
import { measureRequests } from "./metrics.ts";
import { problemResponse, renderError } from "./problem.ts";
import { type BodyLimits, limitBodies } from "./request.ts";
import { invalidInput, reasonsOf } from "../validation.ts";

/** Each throws to say why the service can't do its work yet. */
export type ReadyChecks = Readonly<Record<string, () => Promise<void>>>;

export interface HttpAppOptions {
  service: string;
  version: string;
  /** Which copy of the service it is. */
  instance: string;
  endpoints: readonly BoundEndpoint[];
  /** Adds routes that need HTTP itself. */
  routes?: ((app: OpenAPIHono) => void) | undefined;
  otherBodies?: readonly OtherBody[] | undefined;
  /** Adds to the OpenAPI document what is known at run time only. */
  describe?: ((document: OpenApiDocument) => void) | undefined;
  bodyLimits?: BodyLimits | undefined;
  ready: ReadyChecks;
  metrics: Registry;
  log: Logger;
}

/**
 * - `GET /healthz`: the process is alive.
 * - `GET /readyz`: it can do its work (200), or what it waits for (503); each check by name, and which copy says so.
 * - `GET /metrics`, `/openapi.json`, `/docs`.
 * - the endpoints that have an HTTP route, and the service's own routes.
 *
 * Every error is problem+json.
 */
export function createHttpApp(options: HttpAppOptions): OpenAPIHono {
  const { service, version, instance, endpoints, ready, metrics, log } = options;
  const app = new OpenAPIHono({
    // For routes with schemas of their own: their mistakes are told like those of the endpoints.
    defaultHook: (result, c) => {
      if (!result.success) throw invalidInput(`${c.req.method} ${c.req.path}`, reasonsOf(result.error));
    },
  });
  app.onError((error) => renderError(error, log));
  app.notFound((c) =>
    problemResponse("not_found", `Cannot find ${c.req.method} ${c.req.path}: ${service} has no such route`)
  );
  const limit = limitBodies(options.bodyLimits ?? {});
  const measure = measureRequests(metrics);
  // As one: each middleware costs a request as much as reading its headers does.
  app.use((c, next) => {
    limit(c);
    return measure(c, next);
  });

  app.get("/healthz", (c) => c.json({ service, version, status: "alive" }));
  app.get("/readyz", async (c) => {
    const checks = await runChecks(ready);
    const isReady = Object.values(checks).every(({ ok }) => ok);
    return c.json({ service, instance, ready: isReady, checks }, isReady ? 200 : 503);
  });
  app.get(
    "/metrics",
    async (c) => c.body(await metrics.metrics(), 200, { "content-type": metrics.contentType }),
  );
  addDocs(app, { service, version, describe: options.describe });
  addEndpointRoutes(app, endpoints, options.otherBodies);
  options.routes?.(app);
  refuseOtherMethods(app);
  return app;
}

/** How long a check may take before its neighbour counts as away. */
const CHECK_LIMIT_MS = 2_000;

async function runChecks(checks: ReadyChecks): Promise<Record<string, { ok: boolean; reason?: string }>> {
  const results = Object.entries(checks).map(async ([name, check]) => {
    const { promise: late, reject } = Promise.withResolvers<never>();
    const timer = setTimeout(
      () => reject(new Error(`no answer within ${CHECK_LIMIT_MS / 1000} s`)),
      CHECK_LIMIT_MS,
    );
    try {
      await Promise.race([check(), late]);
      return [name, { ok: true }] as const;
    } catch (error) {
      return [name, { ok: false, reason: messageOf(error) }] as const;
    } finally {
      clearTimeout(timer);
    }
  });
  return Object.fromEntries(await Promise.all(results));
}

/** A known path with another method is told apart from an unknown one. Registered last, so that routes win. */
function refuseOtherMethods(app: OpenAPIHono): void {
  const methods = new Map<string, Set<string>>();
  for (const { path, method } of app.routes) {
    if (method === "ALL") continue;
    methods.set(path, (methods.get(path) ?? new Set()).add(method));
  }
  for (const [path, known] of methods) {
    const allowed = [...known].toSorted().join(", ");
    app.all(path, (c) =>
      problemResponse(
        "method_not_allowed",
        `Cannot ${c.req.method} ${c.req.path}: the methods of this path are ${allowed}`,
        { headers: { allow: allowed } },
      ));
  }
}
