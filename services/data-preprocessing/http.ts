/** Routes that need HTTP itself. @module */
import type { OpenAPIHono } from "@hono/zod-openapi";
import { nameSchema } from "shared/contracts/names.ts";
import { parseWith } from "shared/validation.ts";

export interface RouteDeps {
  picture(source: string): Promise<{ svg: string; revision: string }>;
}

const PICTURE = "/v1/profiles/{source}/picture.svg";

/** `GET /v1/profiles/{source}/picture.svg`: the newest profile of a source beside the one before. */
export function addRoutes(app: OpenAPIHono, { picture }: RouteDeps): void {
  app.openAPIRegistry.registerPath({
    method: "get",
    path: PICTURE,
    summary: "The newest profile of a source as a picture, beside the one before",
    parameters: [{ name: "source", in: "path", required: true, schema: { type: "string" } }],
    responses: {
      200: { description: "SVG", content: { "image/svg+xml": { schema: { type: "string" } } } },
      304: { description: "The picture of the ETag in If-None-Match is still the newest" },
      404: { description: "None of its records has been cleaned yet" },
    },
  });
  app.get("/v1/profiles/:source/picture.svg", async (c) => {
    const source = parseWith(nameSchema, c.req.param("source"), "draw a profile: the source's name");
    const { svg, revision } = await picture(source);
    const headers = {
      etag: `"${revision}"`,
      // It may be kept, and must be asked for again: the next record changes it.
      "cache-control": "no-cache",
      // Texts of users stand in it: nothing of them may run, whoever opens it.
      "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'",
    };
    if (c.req.header("if-none-match") === headers.etag) return c.body(null, 304, headers);
    return c.body(svg, 200, { ...headers, "content-type": "image/svg+xml; charset=utf-8" });
  });
}
