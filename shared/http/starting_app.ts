/**
 * What a service answers before it has its bus and its database.
 *
 * @module
 */
import { Hono } from "hono";
import { problemResponse } from "./problem.ts";

export interface StartingAppOptions {
  service: string;
  version: string;
  instance: string;
  /** What the start waits for, such as `NATS at nats://127.0.0.1:4222`. */
  awaits: () => string;
}

/** `/healthz` says alive, `/readyz` what is awaited, and everything else 503. */
export function createStartingApp({ service, version, instance, awaits }: StartingAppOptions): Hono {
  const app = new Hono();
  app.get("/healthz", (c) => c.json({ service, version, status: "alive" }));
  app.get("/readyz", (c) => {
    const checks = { start: { ok: false, reason: `waiting for ${awaits()}` } };
    return c.json({ service, instance, ready: false, checks }, 503);
  });
  app.notFound((c) =>
    problemResponse(
      "unavailable",
      `Cannot answer ${c.req.method} ${c.req.path}: ${service} is starting and waits for ${awaits()}`,
      { headers: { "retry-after": "1" } },
    )
  );
  return app;
}
