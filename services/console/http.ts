/** The page, the live picture as server-sent events, and the gateway to the other services. @module */
import type { OpenAPIHono } from "@hono/zod-openapi";
import { proxy } from "hono/proxy";
import { streamSSE } from "hono/streaming";
import type { Overview } from "shared/contracts/console.ts";
import { notFound, unavailable } from "shared/errors.ts";
import type { ServiceRow } from "../../scripts/services.ts";

export interface RouteDeps {
  services: readonly ServiceRow[];
  urlOf: (row: ServiceRow) => string;
  follow: (signal: AbortSignal) => AsyncIterable<Overview>;
}

const PAGE = {
  "/": ["index.html", "text/html; charset=utf-8"],
  "/console.js": ["console.js", "text/javascript; charset=utf-8"],
  "/console.css": ["console.css", "text/css; charset=utf-8"],
} as const;

/** Everything the page uses comes from here: no CDN, no inline script; its icon is empty, and stands in the page. */
const PAGE_HEADERS = {
  "Content-Security-Policy": "default-src 'self'; img-src 'self' data:; frame-ancestors 'none'",
  "X-Content-Type-Options": "nosniff",
  "Cache-Control": "no-cache",
};

export function addRoutes(app: OpenAPIHono, { services, urlOf, follow }: RouteDeps): void {
  for (const [path, [file, type]] of Object.entries(PAGE)) {
    const content = Deno.readTextFileSync(new URL(`page/${file}`, import.meta.url));
    app.get(path, (c) => c.body(content, 200, { ...PAGE_HEADERS, "Content-Type": type }));
  }

  app.get("/v1/overview/stream", (c) =>
    streamSSE(c, async (stream) => {
      const ended = new AbortController();
      stream.onAbort(() => ended.abort());
      for await (const picture of follow(ended.signal)) {
        await stream.writeSSE({ event: "overview", id: picture.at, data: JSON.stringify(picture) });
      }
    }));

  app.all("/api/:service/*", async (c) => {
    const name = c.req.param("service");
    const row = services.find((row) => row.name === name);
    if (!row) {
      throw notFound(
        `Cannot reach the service "${name}": it must be one of ${services.map((row) => row.name).join(", ")}`,
      );
    }
    const { pathname, search } = new URL(c.req.url);
    // As it was written: the name may be percent-encoded, and so longer than it reads.
    const path = pathname.replace(/^\/api\/[^/]+/, "");
    const { method, headers, body } = c.req.raw;
    try {
      // A redirect is the caller's to follow, not the gateway's.
      return await proxy(`${urlOf(row)}${path}${search}`, { method, headers, body, redirect: "manual" });
    } catch (error) {
      throw unavailable(`Cannot reach ${name}: it does not answer at ${urlOf(row)}`, { cause: error });
    }
  });
}
