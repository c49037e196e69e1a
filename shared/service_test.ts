import { assertEquals, assertMatch, assertRejects } from "@std/assert";
import { z } from "zod";
import { baseConfigSchema, databaselessConfigSchema } from "./config.ts";
import { bind, type BoundEndpoint, endpoint } from "./contracts/endpoint.ts";
import { AppError } from "./errors.ts";
import { freePort } from "./infra/ports.ts";
import { type ServiceApp, type ServiceDeps } from "./service.ts";
import { startTestBus } from "./testing/bus.ts";
import { eventually } from "./testing/poll.ts";
import { startTestService } from "./testing/service.ts";

/** A real service's name, whose migrations the database gets. */
const NAME = "alert";

const countTables = endpoint({
  service: NAME,
  verb: "count-tables",
  http: { method: "get", path: "/v1/tables" },
  summary: "Count tables",
  request: z.object({ schema: z.string() }),
  reply: z.object({ tables: z.int() }),
});

type Deps = ServiceDeps<z.infer<typeof baseConfigSchema>>;

const appWith = (extra: Partial<ServiceApp>) => ({ db }: Deps): ServiceApp => ({
  endpoints: [
    bind(countTables, async ({ schema }) => {
      const [row] = await db<{ tables: number }[]>`
        select count(*)::int as tables from pg_tables where schemaname = ${schema}`;
      return row!;
    }),
  ],
  parts: [],
  ...extra,
});

Deno.test("startTestService() answers an endpoint over NATS and over HTTP", async () => {
  await using service = await startTestService(NAME, baseConfigSchema, appWith({}));
  const { tables } = await service.call(countTables, { schema: "public" });
  assertEquals(tables > 0, true);
  const response = await fetch(`${service.url}/v1/tables?schema=public`);
  assertEquals(await response.json(), { tables });
  const ready = await (await fetch(`${service.url}/readyz`)).json();
  assertEquals(ready, {
    service: NAME,
    instance: "test",
    ready: true,
    checks: { bus: { ok: true }, database: { ok: true } },
  });
  const metrics = await (await fetch(`${service.url}/metrics`)).text();
  assertMatch(metrics, /process_resident_memory_bytes \d{7,}/);
});

Deno.test("startTestService() works without a database and shares a bus", async () => {
  await using bus = await startTestBus();
  const seen: unknown[] = [];
  const createApp = ({ db }: ServiceDeps<z.infer<typeof databaselessConfigSchema>>): ServiceApp => {
    seen.push(db);
    return { endpoints: [], parts: [] };
  };
  await using service = await startTestService("console", databaselessConfigSchema, createApp, { bus });
  assertEquals(seen, [undefined]);
  const { checks } = await (await fetch(`${service.url}/readyz`)).json();
  assertEquals(checks, { bus: { ok: true } });
});

Deno.test("startTestService() stops the parts in reverse and leaves the given bus open", async () => {
  await using bus = await startTestBus();
  const journal: string[] = [];
  const part = (name: string) => ({
    name,
    start: () => Promise.resolve(void journal.push(`start ${name}`)),
    stop: () => Promise.resolve(void journal.push(`stop ${name}`)),
  });
  const createApp = (): ServiceApp => ({ endpoints: [], parts: [part("a"), part("b")] });
  const service = await startTestService("console", databaselessConfigSchema, createApp, { bus });
  await service.stop();
  await service.stop();
  assertEquals(journal, ["start a", "start b", "stop b", "stop a"]);
  await bus.nc.flush();
});

Deno.test("startTestService() turns a reply that breaks its contract into an internal error", async () => {
  const broken: BoundEndpoint = { endpoint: countTables, handler: () => Promise.resolve({ tables: "many" }) };
  await using service = await startTestService(NAME, baseConfigSchema, appWith({ endpoints: [broken] }));
  const error = await assertRejects(() => service.call(countTables, { schema: "public" }), AppError);
  assertEquals(error.code, "internal");
});

Deno.test("startTestService() lets a service replace the checks of readiness", async () => {
  const ready = {
    bus: () => Promise.resolve(),
    models: () => Promise.reject(new Error("the model churn is loading")),
  };
  await using service = await startTestService(NAME, baseConfigSchema, appWith({ ready }));
  const response = await fetch(`${service.url}/readyz`);
  assertEquals(response.status, 503);
  assertEquals((await response.json()).checks.models, { ok: false, reason: "the model churn is loading" });
});

/** A process of a service without a database, whose part takes for ever to stop when told to. */
function startProcess(env: Record<string, string>, part = "stop: () => Promise.resolve()") {
  const program = `
    import { runService } from "shared/service.ts";
    import { databaselessConfigSchema } from "shared/config.ts";
    await runService({ name: "console", config: databaselessConfigSchema, createApp: () => ({
      endpoints: [],
      parts: [{ name: "the part", start: () => Promise.resolve(), ${part} }],
    }) });`;
  const child = new Deno.Command(Deno.execPath(), {
    args: ["eval", "--ext=ts", program],
    env: { HTTP_PORT: "0", ...env },
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  let output = "";
  const reading = Promise.all([child.stdout, child.stderr].map(async (stream) => {
    for await (const text of stream.pipeThrough(new TextDecoderStream())) output += text;
  }));
  return {
    child,
    output: () => output,
    async end() {
      const { code } = await child.status;
      await reading;
      return code;
    },
  };
}

Deno.test("runService() lists every wrong setting and ends with 1", async () => {
  const process = startProcess({ NATS_URL: "127.0.0.1", HTTP_PORT: "x" });
  await process.child.stdin.close();
  assertEquals(await process.end(), 1);
  assertMatch(
    process.output(),
    /^Cannot start console: 2 settings are wrong\n {2}NATS_URL is "127.0.0.1": must .*\n {2}HTTP_PORT is "x": must/,
  );
});

Deno.test("runService() waits for NATS, says so on /readyz, and stops when told to", async () => {
  const port = freePort();
  const process = startProcess({ NATS_URL: `nats://127.0.0.1:${freePort()}`, HTTP_PORT: String(port) });
  const response = await eventually(() => fetch(`http://127.0.0.1:${port}/readyz`));
  assertEquals(response.status, 503);
  assertMatch((await response.json()).checks.start.reason, /^waiting for NATS at nats:/);
  const refused = await fetch(`http://127.0.0.1:${port}/v1/x`);
  assertEquals(refused.headers.get("content-type"), "application/problem+json");
  assertEquals((await refused.json()).status, 503);
  process.child.kill("SIGTERM");
  assertEquals(await process.end(), 0, process.output());
  await process.child.stdin.close();
});

Deno.test("runService() stops in good order when its launcher is gone", async () => {
  await using bus = await startTestBus();
  const process = startProcess({ NATS_URL: bus.url, STOP_WITH_STDIN: "true" });
  await eventually(() => process.output().includes('"Started"'));
  await process.child.stdin.close();
  assertEquals(await process.end(), 0, process.output());
  assertMatch(process.output(), /Stopping: the end of standard input came[^]*"Stopped"/);
});

Deno.test("runService() ends at once at a second signal", async () => {
  await using bus = await startTestBus();
  const process = startProcess(
    { NATS_URL: bus.url },
    "stop: () => new Promise(() => setInterval(() => {}, 1000))",
  );
  await eventually(() => process.output().includes('"Started"'));
  const ended = process.end();
  process.child.kill("SIGINT");
  await eventually(() => process.output().includes("Stopping: SIGINT came"));
  await eventually(() => {
    // The same Ctrl-C twice in a moment is one.
    if (!process.output().includes("came again")) process.child.kill("SIGINT");
    return process.output().includes("came again");
  });
  assertEquals(await ended, 130, process.output());
  await process.child.stdin.close();
});

Deno.test("runService() logs an uncaught rejection and ends with 1", async () => {
  await using bus = await startTestBus();
  const process = startProcess(
    { NATS_URL: bus.url },
    'stop: () => Promise.resolve(), boom: setTimeout(() => Promise.reject(new Error("nobody awaits")), 20)',
  );
  assertEquals(await process.end(), 1);
  assertMatch(process.output(), /Ending for an uncaught rejection: nobody awaits/);
  await process.child.stdin.close();
});
