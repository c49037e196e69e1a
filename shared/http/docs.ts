/**
 * `/openapi.json`, and `/docs`: Swagger UI from its package, so that it works where no CDN is reached.
 *
 * @module
 */
import { createRequire } from "node:module";
import { dirname } from "node:path";
import type { OpenAPIHono } from "@hono/zod-openapi";

/** The package's own initializer shows a demo. */
const INITIALIZER = `SwaggerUIBundle({ url: "/openapi.json", dom_id: "#swagger-ui", deepLinking: true });\n`;

const ASSETS: Readonly<Record<string, string>> = {
  "swagger-ui.css": "text/css; charset=utf-8",
  "swagger-ui-bundle.js": "text/javascript; charset=utf-8",
  "favicon-32x32.png": "image/png",
};

const page = (title: string) =>
  `<!doctype html>
<html lang="en">
<head>
  <meta charset="utf-8">
  <meta name="viewport" content="width=device-width, initial-scale=1">
  <title>${title}</title>
  <link rel="icon" href="/docs/favicon-32x32.png">
  <link rel="stylesheet" href="/docs/swagger-ui.css">
</head>
<body>
  <div id="swagger-ui"></div>
  <script src="/docs/swagger-ui-bundle.js"></script>
  <script src="/docs/initializer.js"></script>
</body>
</html>
`;

/** Everything comes from this server; Swagger UI sets styles of its own and draws icons from data URLs. */
const POLICY = "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:";

/** An OpenAPI document as far as it is added to. */
export type OpenApiDocument = ReturnType<OpenAPIHono["getOpenAPI31Document"]>;

export interface DocsOptions {
  service: string;
  version: string;
  /** Adds to the document what is known at run time only; asked each time. */
  describe?: ((document: OpenApiDocument) => void) | undefined;
}

export function addDocs(app: OpenAPIHono, { service, version, describe }: DocsOptions): void {
  const description = () =>
    app.getOpenAPI31Document({
      openapi: "3.1.0",
      info: { title: service, version },
      servers: [{ url: "/" }],
    });
  let described: string | undefined;
  app.get("/openapi.json", (c) => {
    described ??= JSON.stringify(description());
    const headers = { "content-type": "application/json" };
    if (describe === undefined) return c.body(described, 200, headers);
    const document: OpenApiDocument = JSON.parse(described);
    describe(document);
    return c.body(JSON.stringify(document), 200, headers);
  });
  app.get("/docs", (c) => c.html(page(service), 200, { "content-security-policy": POLICY }));
  app.get(
    "/docs/initializer.js",
    (c) => c.body(INITIALIZER, 200, { "content-type": "text/javascript; charset=utf-8" }),
  );
  for (const [name, type] of Object.entries(ASSETS)) {
    app.get(`/docs/${name}`, async (c) =>
      c.body(await Deno.readFile(`${swaggerFolder()}/${name}`), 200, {
        "content-type": type,
        "cache-control": "max-age=3600",
      }));
  }
}

/**
 * Found without loading the package, whose entry loads 1.4 MB of browser code; and looked for from the root, where
 * the packages are, since a service may read nothing else.
 */
function swaggerFolder(): string {
  return dirname(
    createRequire(new URL("../../deno.json", import.meta.url)).resolve("swagger-ui-dist/package.json"),
  );
}
