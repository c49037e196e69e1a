/**
 * Endpoints of the contracts as HTTP routes, with their OpenAPI description.
 *
 * A request is put together from the path, the query or the JSON body, and then read once by the contract's
 * whole schema, so that a rule over several fields (a `refine`) holds here as it does over NATS.
 *
 * @module
 */
import type { OpenAPIHono } from "@hono/zod-openapi";
import type { Context } from "hono";
import { z } from "zod";
import { closed } from "../contracts/closed.ts";
import { type BoundEndpoint, type Endpoint, type EndpointSpec, replyText } from "../contracts/endpoint.ts";
import { HEADER } from "../contracts/envelope.ts";
import { invalid } from "../errors.ts";
import { otherInAddress, parseWith } from "../validation.ts";
import { PROBLEM_TYPE, problemSchema } from "./problem.ts";
import { callContext, readJson } from "./request.ts";

const JSON_TYPE = { "content-type": "application/json" };

type HttpSpec = EndpointSpec & { http: NonNullable<EndpointSpec["http"]> };

/** Bodies of another type than JSON that an endpoint answers too, by its HTTP route alone. */
export interface OtherBody {
  endpoint: Endpoint;
  isOf: (type: string) => boolean;
  answer: (c: Context) => Response;
}

/** Adds the endpoints that have an HTTP route. */
export function addEndpointRoutes(
  app: OpenAPIHono,
  endpoints: readonly BoundEndpoint[],
  otherBodies: readonly OtherBody[] = [],
): void {
  for (const { endpoint, handler, refused } of endpoints) {
    const { spec, subject } = endpoint;
    const { http } = spec;
    if (http === undefined) continue;
    const route = { ...spec, http };
    const hasBody = takesBody(route);
    const names = parameterNames(route);
    const other = otherBodies.find((body) => body.endpoint === endpoint);
    describe(app, route);
    app.on(http.method.toUpperCase(), http.path.replaceAll(/\{(\w+)\}/g, ":$1"), async (c) => {
      const { headers } = c.req.raw;
      const type = hasBody ? headers.get("content-type") : null;
      if (other !== undefined && type !== null && other.isOf(type)) return other.answer(c);
      const context = callContext(headers);
      let request;
      try {
        const fields = hasBody ? bodyFields(await readJson(c, type) ?? {}) : queryFields(c);
        request = parseWith(spec.request, withParameters(fields, c, names), `answer ${subject}`);
      } catch (error) {
        refused?.(c.req.param(), error, context);
        throw error;
      }
      return c.body(replyText(await handler(request, context)), http.status ?? 200, JSON_TYPE);
    });
  }
}

function takesBody({ http }: HttpSpec): boolean {
  return http.method === "post" || http.method === "put";
}

const parameterNames = ({ http }: HttpSpec): string[] =>
  [...http.path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name!);

type Fields = Record<string, unknown>;

function withParameters(fields: Fields, c: Context, names: readonly string[]): Fields {
  for (const name of names) {
    const said = c.req.param(name)!;
    const given = fields[name];
    if (given !== undefined && (typeof given === "object" || String(given) !== said)) {
      throw otherInAddress(`${c.req.method} ${c.req.path}`, { name, given, said, where: "path" });
    }
    fields[name] = said;
  }
  return fields;
}

function bodyFields(body: unknown): Fields {
  if (typeof body !== "object" || body === null || Array.isArray(body)) {
    throw invalid("Cannot read the request: its body must be a JSON object");
  }
  return body as Fields;
}

/** A parameter given several times is a list. */
function queryFields(c: Context): Fields {
  return Object.fromEntries(
    Object.entries(c.req.queries()).map(([name, values]) => [name, values.length === 1 ? values[0] : values]),
  );
}

const problem = (description: string) => ({
  description,
  content: { [PROBLEM_TYPE]: { schema: problemSchema } },
});

function describe(app: OpenAPIHono, spec: HttpSpec): void {
  const { http, request, reply, summary, mutation = false } = spec;
  const names = parameterNames(spec);
  // `pick` and `omit` refuse a schema with a refinement: its parts are taken by hand.
  const fields = Object.entries(request.shape);
  const inPath = z.object(Object.fromEntries(fields.filter(([name]) => names.includes(name))));
  const others = closed(z.object(Object.fromEntries(fields.filter(([name]) => !names.includes(name)))));
  const content = Object.keys(others.shape).length > 0;
  const headers = z.object({
    [HEADER.actor]: z.string().max(255).optional().describe("Who asks"),
    ...(mutation
      ? { [HEADER.idempotencyKey]: z.string().max(255).optional().describe("Same key, same answer") }
      : {}),
  });
  app.openAPIRegistry.registerPath({
    method: http.method,
    path: http.path,
    operationId: spec.verb,
    tags: [spec.service],
    summary,
    request: {
      headers,
      ...(names.length > 0 ? { params: inPath } : {}),
      ...(content && takesBody(spec)
        ? { body: { required: true, content: { "application/json": { schema: others } } } }
        : {}),
      ...(content && !takesBody(spec) ? { query: others } : {}),
    },
    responses: {
      [http.status ?? 200]: {
        description: "Done",
        content: { "application/json": { schema: reply } },
      },
      400: problem("The request is wrong: every mistake is listed"),
      ...(names.length > 0 ? { 404: problem("Something that the request names is not there") } : {}),
      ...(mutation ? { 409: problem("In conflict with the present state") } : {}),
      ...(takesBody(spec) ? { 413: problem("Too large"), 415: problem("Not JSON") } : {}),
      429: problem("Too busy: try again after Retry-After"),
      500: problem("Internal error: the log has it under the name in `instance`"),
      503: problem("A neighbour is away: try again after Retry-After"),
    },
  });
}
