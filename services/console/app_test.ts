import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { serveEndpoints } from "shared/bus/endpoints.ts";
import { definitions } from "shared/contracts/alert.ts";
import { type Overview, overview } from "shared/contracts/console.ts";
import { bind } from "shared/contracts/endpoint.ts";
import { silentLogger } from "shared/log.ts";
import { eventually } from "shared/testing/poll.ts";
import { startTestService } from "shared/testing/service.ts";
import { SERVICES } from "../../scripts/services.ts";
import { createApp } from "./app.ts";
import { configSchema } from "./config.ts";

const start = (serviceUrl = "http://127.0.0.1:1") =>
  startTestService("console", configSchema, createApp, { env: { SERVICE_URL: serviceUrl } });

/** A neighbour over HTTP that answers what the test says, at any path. */
function startNeighbour(answer: (request: Request) => Response | Promise<Response>) {
  const server = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen() {} }, answer);
  return { url: `http://127.0.0.1:${server.addr.port}`, [Symbol.asyncDispose]: () => server.shutdown() };
}

const stageOf = (picture: Overview, service: string) =>
  picture.stages.find((stage) => stage.service === service);

Deno.test("overview shows every service of the table, down where nothing answers", async () => {
  await using service = await start();
  const picture = await service.call(overview, {});
  assertEquals(picture.stages.map(({ service }) => service), SERVICES.map(({ name }) => name));
  const alert = stageOf(picture, "alert");
  assertEquals([alert?.health, alert?.copies, alert?.lag], ["down", 0, null]);
  assert(alert?.reason);
  assert(picture.streams.some(({ name }) => name === "EVENTS"));
});

Deno.test("overview shows what the copies of a service say of themselves, and what they wait for", async () => {
  await using neighbour = startNeighbour(() =>
    Response.json({
      ready: false,
      checks: { bus: { ok: true }, database: { ok: false, reason: "no answer" } },
    }, {
      status: 503,
    })
  );
  await using service = await start(neighbour.url);
  await using _copy = await serveEndpoints(service.bus, {
    service: "alert",
    version: "0.0.0",
    log: silentLogger,
    endpoints: [bind(definitions, () => Promise.resolve({ definitions: [] }))],
    stats: () => Promise.resolve({ lag: 7, deadLetters: 2, handled: 100 }),
  });
  const alert = stageOf(await service.call(overview, {}), "alert");
  assertEquals([alert?.copies, alert?.lag, alert?.deadLetters, alert?.handled], [1, 7, 2, 100]);
  assertEquals([alert?.health, alert?.reason], ["waiting", "database: no answer"]);
});

Deno.test("GET /v1/overview/stream sends one picture after the other, with rates once two are known", async () => {
  await using service = await start();
  let handled = 0;
  await using _copy = await serveEndpoints(service.bus, {
    service: "alert",
    version: "0.0.0",
    log: silentLogger,
    endpoints: [bind(definitions, () => Promise.resolve({ definitions: [] }))],
    stats: () => Promise.resolve({ handled: handled += 50 }),
  });
  const response = await fetch(`${service.url}/v1/overview/stream`);
  const pictures: Overview[] = [];
  const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  await eventually(async () => {
    text += (await reader.read()).value ?? "";
    const lines = text.split("\n").filter((line) => line.startsWith("data: "));
    pictures.splice(
      0,
      pictures.length,
      ...text.endsWith("\n\n") ? lines.map((line) => JSON.parse(line.slice(6))) : [],
    );
    assert(pictures.length >= 2 && (stageOf(pictures.at(-1)!, "alert")?.rate ?? 0) > 0);
  });
  await reader.cancel();
});

Deno.test("/api/{service}/ hands a request on whole, and the answer back", async () => {
  const seen: string[] = [];
  await using neighbour = startNeighbour((request) => {
    const { pathname, search } = new URL(request.url);
    seen.push(`${request.method} ${pathname}${search} ${request.headers.get("microml-actor")}`);
    return Response.json({ taught: true }, { status: 418 });
  });
  await using service = await start(neighbour.url);
  const response = await fetch(`${service.url}/api/alert/v1/alerts?limit=3`, {
    headers: { "microml-actor": "ann" },
  });
  assertEquals([response.status, await response.json()], [418, { taught: true }]);
  assertEquals(seen.filter((line) => line.includes("alerts")), ["GET /v1/alerts?limit=3 ann"]);
});

Deno.test("/api/{service}/ takes a percent-encoded name, bodies and redirects, and no way to another host", async () => {
  const seen: string[] = [];
  await using neighbour = startNeighbour(async (request) => {
    const { pathname } = new URL(request.url);
    if (pathname !== "/readyz") seen.push(`${request.method} ${pathname} ${await request.text()}`);
    return new Response(null, { status: 302, headers: { location: "http://127.0.0.1:1/elsewhere" } });
  });
  await using service = await start(neighbour.url);
  const ask = async (path: string, init: RequestInit = {}) => {
    const response = await fetch(`${service.url}${path}`, { redirect: "manual", ...init });
    await response.body?.cancel();
    return response.status;
  };
  assertEquals(await ask("/api/%61lert/v1/alerts"), 302);
  assertEquals(await ask("/api/alert/v1/alert-rules/a", { method: "PUT", body: "{}" }), 302);
  assertEquals(await ask("/api/alert//127.0.0.1:1/x"), 302);
  assertEquals(seen, [
    "GET /v1/alerts ",
    "PUT /v1/alert-rules/a {}",
    "GET //127.0.0.1:1/x ",
  ]);
});

Deno.test("/api/{service}/ names the services there are, and says so when one does not answer", async () => {
  await using service = await start();
  const unknown = await fetch(`${service.url}/api/alerts/v1/alerts`);
  assertEquals(unknown.status, 404);
  assertStringIncludes((await unknown.json()).detail, "data-ingestion, data-preprocessing");
  const away = await fetch(`${service.url}/api/alert/v1/alerts`);
  assertEquals(away.status, 503);
  await away.body?.cancel();
});

Deno.test("GET / gives a page that uses nothing from elsewhere", async () => {
  await using service = await start();
  const response = await fetch(service.url);
  assertMatch(
    response.headers.get("content-security-policy") ?? "",
    /default-src 'self'; img-src 'self' data:;/,
  );
  const page = await response.text();
  for (const [, asset] of page.matchAll(/(?:href|src)="(\/[^"]+)"/g)) {
    const { status, body } = await fetch(`${service.url}${asset}`);
    await body?.cancel();
    assertEquals(status, 200, asset);
  }
  assert(!/(?:href|src)="https?:/.test(page));
});
