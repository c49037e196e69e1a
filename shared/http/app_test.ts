import { assertEquals, assertMatch } from "@std/assert";
import { Registry } from "prom-client";
import { z } from "zod";
import { bind, type BoundEndpoint, type CallContext, endpoint } from "../contracts/endpoint.ts";
import { AppError, busy, conflict, notFound } from "../errors.ts";
import { createLogger, silentLogger } from "../log.ts";
import { createHttpApp, type HttpAppOptions } from "./app.ts";
import type { Problem } from "./problem.ts";

const putShelf = endpoint({
  service: "shelf",
  verb: "put-shelf",
  http: { method: "put", path: "/v1/shelves/{name}", status: 201 },
  summary: "Put a shelf",
  request: z.object({ name: z.string(), width: z.int().optional(), places: z.int().optional() })
    .refine((request) => (request.width === undefined) !== (request.places === undefined), {
      message: "must hold either width or places",
      path: ["width"],
    }),
  reply: z.object({ name: z.string() }),
  mutation: true,
});
const listShelves = endpoint({
  service: "shelf",
  verb: "shelves",
  http: { method: "get", path: "/v1/shelves" },
  summary: "List shelves",
  request: z.object({
    limit: z.coerce.number().int().max(10).default(3),
    tag: z.array(z.string()).optional(),
  }),
  reply: z.object({ limit: z.int(), tag: z.array(z.string()).optional() }),
});
const busOnly = endpoint({
  service: "shelf",
  verb: "secret",
  summary: "Not over HTTP",
  request: z.object({}),
  reply: z.object({}),
});

function appOf(endpoints: readonly BoundEndpoint[], options: Partial<HttpAppOptions> = {}) {
  return createHttpApp({
    service: "shelf",
    version: "1.2.3",
    instance: "copy-2",
    endpoints,
    ready: {},
    metrics: new Registry(),
    log: silentLogger,
    ...options,
  });
}

const echo = bind(listShelves, (request) => Promise.resolve(request));
const put = (handle: (name: string, context: CallContext) => void = () => {}) =>
  bind(putShelf, ({ name }, context) => {
    handle(name, context);
    return Promise.resolve({ name });
  });
const json = (body: unknown, headers: Record<string, string> = {}) => ({
  method: "PUT",
  body: typeof body === "string" ? body : JSON.stringify(body),
  headers: { "content-type": "application/json", ...headers },
});

async function problemOf(response: Response | Promise<Response>): Promise<Problem> {
  const answer = await response;
  assertEquals(answer.headers.get("content-type"), "application/problem+json");
  const problem = await answer.json() as Problem;
  assertEquals(problem.status, answer.status);
  return problem;
}

Deno.test("createHttpApp() answers an endpoint from path and body, with the contract's status", async () => {
  const response = await appOf([put()]).request("/v1/shelves/a", json({ width: 3 }));
  assertEquals(response.status, 201);
  assertEquals(await response.json(), { name: "a" });
});

Deno.test("createHttpApp() coerces the query and makes a list of a repeated parameter", async () => {
  const response = await appOf([echo]).request("/v1/shelves?limit=7&tag=a&tag=b");
  assertEquals(await response.json(), { limit: 7, tag: ["a", "b"] });
});

Deno.test("createHttpApp() hands on the actor, the idempotency key and the trace", async () => {
  const contexts: CallContext[] = [];
  const app = appOf([put((_name, context) => contexts.push(context))]);
  const traceparent = `00-${"a".repeat(32)}-${"b".repeat(16)}-01`;
  await app.request(
    "/v1/shelves/a",
    json({ width: 3 }, { "Idempotency-Key": "k1", "Microml-Actor": "ann", traceparent }),
  );
  await app.request("/v1/shelves/a", json({ width: 3 }, { traceparent: "nonsense" }));
  assertEquals(contexts, [
    { actor: "ann", idempotencyKey: "k1", traceparent },
    { actor: "anonymous", idempotencyKey: undefined, traceparent: undefined },
  ]);
});

Deno.test("createHttpApp() answers 400 with every reason when the request breaks the contract", async () => {
  const problem = await problemOf(appOf([echo]).request("/v1/shelves?limit=99&tag=a"));
  assertEquals(problem.status, 400);
  assertEquals(problem.type, "urn:microml:problem:invalid");
  assertEquals(problem.detail, "Cannot answer shelf.v1.shelves: 2 fields are wrong");
  assertEquals(problem.reasons.map(({ path }) => path), ["/limit", "/tag"]);
});

Deno.test("createHttpApp() refuses unknown fields of the query and of the body by name", async () => {
  const app = appOf([echo, put()]);
  assertEquals((await problemOf(app.request("/v1/shelves?limt=3"))).reasons, [
    { path: "/limt", message: "is unknown (did you mean limit?): it must be one of limit, tag" },
  ]);
  assertEquals((await problemOf(app.request("/v1/shelves/a", json({ width: 1, colour: "red" })))).reasons, [
    { path: "/colour", message: "is unknown: it must be one of name, width, places" },
  ]);
});

Deno.test("createHttpApp() holds to a rule over several fields", async () => {
  const problem = await problemOf(appOf([put()]).request("/v1/shelves/a", json({ width: 1, places: 2 })));
  assertEquals(problem.reasons, [{ path: "/width", message: "must hold either width or places" }]);
});

Deno.test("createHttpApp() answers 400 when path and body name different things", async () => {
  const problem = await problemOf(appOf([put()]).request("/v1/shelves/a", json({ width: 1, name: "b" })));
  assertEquals(problem.reasons.map(({ path }) => path), ["/name"]);
});

Deno.test("createHttpApp() answers 400 when the body is not JSON or not an object", async () => {
  const app = appOf([put()]);
  assertMatch(
    (await problemOf(app.request("/v1/shelves/a", json("{")))).detail,
    /^Cannot read the request: its body is not JSON: /,
  );
  assertEquals((await problemOf(app.request("/v1/shelves/a", json("[1]")))).status, 400);
});

Deno.test("createHttpApp() answers 415 when the content type is not JSON", async () => {
  const app = appOf([put()]);
  const request = json({ width: 1 }, { "content-type": "text/plain" });
  assertEquals((await problemOf(app.request("/v1/shelves/a", request))).status, 415);
  const merge = json({ width: 1 }, { "content-type": "application/merge-patch+json; charset=utf-8" });
  assertEquals((await app.request("/v1/shelves/a", merge)).status, 201);
});

Deno.test("createHttpApp() answers 404 for an unknown route and 405 for another method", async () => {
  const app = appOf([put(), echo, bind(busOnly, () => Promise.resolve({}))]);
  assertEquals((await problemOf(app.request("/v1/nothing"))).type, "urn:microml:problem:not_found");
  const response = await app.request("/v1/shelves/a", { method: "DELETE" });
  assertEquals(response.headers.get("allow"), "PUT");
  assertEquals((await problemOf(response)).status, 405);
  assertEquals((await app.request("/v1/secret", { method: "POST" })).status, 404);
});

Deno.test("createHttpApp() leaves a method to the route that takes it when two patterns fit", async () => {
  const app = appOf([], {
    routes: (app) => {
      app.get("/v1/things/:name", (c) => c.text(`one ${c.req.param("name")}`));
      app.post("/v1/things/import", (c) => c.text("imported"));
    },
  });
  assertEquals(await (await app.request("/v1/things/import")).text(), "one import");
  assertEquals(await (await app.request("/v1/things/import", { method: "POST" })).text(), "imported");
});

Deno.test("createHttpApp() renders each AppError with its status, reasons and Retry-After", async () => {
  const failing = (error: Error) =>
    appOf([bind(listShelves, () => Promise.reject(error))]).request("/v1/shelves");
  assertEquals((await problemOf(failing(notFound("Cannot find it")))).status, 404);
  const conflicted = await problemOf(failing(conflict("Cannot do it", [{ path: "/a", message: "is b" }])));
  assertEquals(conflicted.status, 409);
  assertEquals(conflicted.reasons, [{ path: "/a", message: "is b" }]);
  const late = await failing(busy("Cannot do it now", 2.5));
  assertEquals(late.status, 429);
  assertEquals(late.headers.get("retry-after"), "3");
  await late.body?.cancel();
  assertEquals((await problemOf(failing(new AppError("timeout", "Cannot wait")))).status, 504);
});

Deno.test("createHttpApp() tells nothing of an unknown error and logs it under the name it gives", async () => {
  const lines: string[] = [];
  const log = createLogger("shelf", { destination: { write: (line) => void lines.push(line) } });
  const app = appOf([bind(listShelves, () => Promise.reject(new Error("password is hunter2")))], { log });
  const problem = await problemOf(app.request("/v1/shelves"));
  assertEquals(problem.status, 500);
  assertEquals(JSON.stringify(problem).includes("hunter2"), false);
  assertEquals(lines.length, 1);
  assertEquals(lines[0]!.includes("hunter2") && lines[0]!.includes(problem.instance!), true);
});

Deno.test("createHttpApp() answers 413 for a body over the limit, announced or streamed", async () => {
  const app = appOf([put()], { bodyLimits: { "/v1/shelves/*": 64 } });
  const big = JSON.stringify({ width: 1, padding: "x".repeat(100) });
  const announced = json(big, { "content-length": String(big.length) });
  assertEquals((await problemOf(app.request("/v1/shelves/a", announced))).status, 413);
  const streamed = { ...json("{}"), body: new Blob([big.slice(0, 60), big.slice(60)]).stream() };
  assertEquals((await problemOf(app.request("/v1/shelves/a", streamed))).status, 413);
  const small = { ...json("{}"), body: new Blob(['{"width"', ":1}"]).stream() };
  assertEquals((await app.request("/v1/shelves/a", small)).status, 201);
});

Deno.test("createHttpApp() limits bodies to 8 MiB where nothing else is said", async () => {
  const body = { width: 1, padding: "x".repeat(8 * 1024 * 1024) };
  assertEquals((await problemOf(appOf([put()]).request("/v1/shelves/a", json(body)))).status, 413);
});

Deno.test("createHttpApp() reads compressed JSON within the limit of its size before", async () => {
  const app = appOf([put()], { bodyLimits: { "/v1/shelves/*": 1_000 } });
  const send = async (body: string, encoding: string) =>
    await app.request("/v1/shelves/a", {
      method: "PUT",
      headers: { "content-type": "application/json", "content-encoding": encoding },
      body: await new Response(new Blob([body]).stream().pipeThrough(new CompressionStream("gzip"))).bytes(),
    });
  const body = JSON.stringify({ width: 3 });
  assertEquals((await send(body, "gzip")).status, 201);
  assertEquals((await send(body + " ".repeat(1_000), "gzip")).status, 413);
  assertEquals((await send(body, "deflate")).status, 400);
  assertEquals((await send(body, "br")).status, 415);
});

Deno.test("createHttpApp() says on /readyz which check fails and why", async () => {
  const app = appOf([], {
    ready: { bus: () => Promise.resolve(), database: () => Promise.reject(new Error("connection refused")) },
  });
  const response = await app.request("/readyz");
  assertEquals(response.status, 503);
  assertEquals(await response.json(), {
    service: "shelf",
    instance: "copy-2",
    ready: false,
    checks: { bus: { ok: true }, database: { ok: false, reason: "connection refused" } },
  });
  assertEquals((await appOf([]).request("/readyz")).status, 200);
  assertEquals((await appOf([]).request("/healthz")).status, 200);
});

Deno.test("createHttpApp() counts requests by route pattern on /metrics", async () => {
  const app = appOf([put()]);
  await app.request("/v1/shelves/a", json({ width: 3 }));
  await app.request("/v1/shelves/b", json({ width: 3 }));
  await app.request("/no/such/path");
  const text = await (await app.request("/metrics")).text();
  assertMatch(text, /_count\{method="PUT",route="\/v1\/shelves\/:name",status="201"\} 2\n/);
  assertMatch(text, /_count\{method="GET",route="none",status="404"\} 1\n/);
});

Deno.test("createHttpApp() describes its endpoints as OpenAPI 3.1", async () => {
  const document = await (await appOf([put(), echo]).request("/openapi.json")).json();
  assertEquals(document.openapi, "3.1.0");
  assertEquals(document.info, { title: "shelf", version: "1.2.3" });
  assertEquals(Object.keys(document.paths), ["/v1/shelves/{name}", "/v1/shelves"]);
  const operation = document.paths["/v1/shelves/{name}"].put;
  const { properties, additionalProperties } = operation.requestBody.content["application/json"].schema;
  assertEquals(Object.keys(properties), ["width", "places"]);
  // Nothing else is taken.
  assertEquals(additionalProperties, { not: {} });
  assertEquals(
    operation.parameters.map((parameter: { in: string; name: string }) => parameter.name).toSorted(),
    [
      "Idempotency-Key",
      "Microml-Actor",
      "name",
    ],
  );
  assertEquals(Object.keys(operation.responses), [
    "201",
    "400",
    "404",
    "409",
    "413",
    "415",
    "429",
    "500",
    "503",
  ]);
  assertEquals(Object.keys(operation.responses["400"].content), ["application/problem+json"]);
});

Deno.test("createHttpApp() serves Swagger UI from its package, without a foreign address", async () => {
  const app = appOf([]);
  const page = await (await app.request("/docs")).text();
  const addresses = [...page.matchAll(/(?:src|href)="([^"]+)"/g)].map(([, address]) => address!);
  assertEquals(addresses.length, 4);
  for (const address of addresses) {
    assertMatch(address, /^\/docs\//);
    const asset = await app.request(address);
    assertEquals(asset.status, 200, address);
    assertEquals((await asset.arrayBuffer()).byteLength > 0, true);
  }
});
