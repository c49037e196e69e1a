import { assert, assertEquals, assertMatch, assertRejects, assertStringIncludes } from "@std/assert";
import { Svcm } from "@nats-io/services";
import { z } from "zod";
import { bind, type CallContext, endpoint, type Handler } from "../contracts/endpoint.ts";
import { AppError, busy, conflict, invalid } from "../errors.ts";
import { createLogger, silentLogger } from "../log.ts";
import { startTestBus } from "../testing/bus.ts";
import { eventually } from "../testing/poll.ts";
import type { Bus } from "./connection.ts";
import { call, serveEndpoints } from "./endpoints.ts";

const greet = endpoint({
  service: "greeter",
  verb: "greet",
  summary: "Greet somebody",
  request: z.object({ name: z.string().min(2), times: z.int().default(1), mood: z.string().optional() }),
  reply: z.object({ text: z.string() }),
});

function serve(
  bus: Bus,
  handler: Handler<typeof greet>,
  more: Partial<Parameters<typeof serveEndpoints>[1]> = {},
) {
  return serveEndpoints(bus, {
    service: "greeter",
    version: "0.1.0",
    endpoints: [bind(greet, handler)],
    log: silentLogger,
    ...more,
  });
}

const hello: Handler<typeof greet> = ({ name, times }) =>
  Promise.resolve({ text: `hello ${name}`.repeat(times) });

Deno.test("call() gets the reply of the handler, with defaults filled in", async () => {
  await using bus = await startTestBus();
  await using _service = await serve(bus, hello);
  assertEquals(await call(bus, greet, { name: "J\u00f6rg" }), { text: "hello J\u00f6rg" });
});

Deno.test("call() carries who asks, the idempotency key and the trace", async () => {
  await using bus = await startTestBus();
  const contexts: CallContext[] = [];
  await using _service = await serve(bus, (request, context) => {
    contexts.push(context);
    return hello(request, context);
  });
  await call(bus, greet, { name: "Jo" });
  const traceparent = `00-${"a".repeat(32)}-${"b".repeat(16)}-01`;
  const context = { actor: "ann@example.org", idempotencyKey: "key-1", traceparent };
  await call(bus, greet, { name: "Jo" }, context);
  await call(bus, greet, { name: "Jo" }, { traceparent: "nonsense" });
  const maxReplyBytes = bus.nc.info!.max_payload;
  assertEquals(contexts, [
    { actor: "anonymous", idempotencyKey: undefined, traceparent: undefined, maxReplyBytes },
    { ...context, maxReplyBytes },
    { actor: "anonymous", idempotencyKey: undefined, traceparent: undefined, maxReplyBytes },
  ]);
  const error = await assertRejects(() => call(bus, greet, { name: "Jo" }, { actor: "a\r\nb" }), AppError);
  assertEquals(error.code, "invalid");
});

Deno.test("call() gets every mistake of the request", async () => {
  await using bus = await startTestBus();
  await using _service = await serve(bus, hello);
  const wrong = { name: "J", times: 1.5, mood: 7 } as unknown as { name: string };
  const error = await assertRejects(() => call(bus, greet, wrong), AppError);
  assertEquals([error.code, error.status], ["invalid", 400]);
  assertEquals(error.reasons.map(({ path }) => path), ["/name", "/times", "/mood"]);
});

Deno.test("call() is told of a field that the endpoint does not know, and which was meant", async () => {
  await using bus = await startTestBus();
  await using _service = await serve(bus, hello);
  const misspelt = { name: "Jo", tiems: 2 } as unknown as { name: string };
  const error = await assertRejects(() => call(bus, greet, misspelt), AppError);
  assertEquals(
    [error.code, error.message],
    [
      "invalid",
      "Cannot answer greeter.v1.greet: /tiems is unknown (did you mean times?): it must be one of name, times, mood",
    ],
  );
});

Deno.test("call() gets an AppError of the handler as it was thrown", async () => {
  await using bus = await startTestBus();
  const thrown = [
    conflict("Cannot greet: caf\u00e9 is closed", [{ path: "/name", message: "line\nbreak" }]),
    busy("Cannot greet: too many guests", 7),
    invalid("x".repeat(5_000)),
  ];
  const left = [...thrown];
  await using _service = await serve(bus, () => Promise.reject(left.shift()));
  for (const { code, message, reasons, retryAfter } of thrown) {
    const error = await assertRejects(() => call(bus, greet, { name: "Jo" }), AppError);
    assertEquals(
      { code: error.code, message: error.message, reasons: error.reasons, retryAfter: error.retryAfter },
      { code, message, reasons, retryAfter },
    );
  }
});

Deno.test("serveEndpoints() answers errors with NATS's headers", async () => {
  await using bus = await startTestBus();
  await using _service = await serve(
    bus,
    () => Promise.reject(conflict("Cannot greet: caf\u00e9 is closed")),
  );
  const reply = await bus.nc.request("greeter.v1.greet", '{"name":"Jo"}');
  assertEquals(reply.headers?.get("Nats-Service-Error-Code"), "409");
  assertEquals(reply.headers?.get("Nats-Service-Error"), "Cannot greet: caf\\u00e9 is closed");
});

Deno.test("serveEndpoints() answers an unknown error with an opaque one, and logs the cause", async () => {
  await using bus = await startTestBus();
  const lines: string[] = [];
  const log = createLogger("test", { destination: { write: (line) => void lines.push(line) } });
  await using _service = await serve(bus, () => Promise.reject(new TypeError("the secret is 42")), { log });
  const error = await assertRejects(() => call(bus, greet, { name: "Jo" }), AppError);
  assertEquals(error.code, "internal");
  assertMatch(error.message, /^Cannot answer greeter\.v1\.greet: an internal error occurred, urn:uuid:/);
  assert(!error.message.includes("secret"));
  assertStringIncludes(lines.join(), "the secret is 42");
});

Deno.test("serveEndpoints() refuses what is no JSON, and takes an empty request for one without fields", async () => {
  await using bus = await startTestBus();
  await using _service = await serve(bus, hello);
  const malformed = await bus.nc.request("greeter.v1.greet", "{");
  assertEquals(malformed.json<{ code: string }>().code, "invalid");
  const empty = await bus.nc.request("greeter.v1.greet");
  assertEquals(empty.json<{ reasons: { path: string }[] }>().reasons.map(({ path }) => path), ["/name"]);
});

Deno.test("serveEndpoints() answers requests side by side, and is busy beyond its bound", async () => {
  await using bus = await startTestBus();
  const { promise: gate, resolve: open } = Promise.withResolvers<void>();
  let started = 0;
  await using _service = await serve(bus, async (request, context) => {
    started++;
    await gate;
    return await hello(request, context);
  }, { maxInFlight: 3 });
  const answers = Array.from({ length: 3 }, (_, index) => call(bus, greet, { name: `guest ${index}` }));
  await eventually(() => started === 3);
  const error = await assertRejects(() => call(bus, greet, { name: "one more" }), AppError);
  assertEquals([error.code, error.retryAfter], ["busy", 1]);
  open();
  assertEquals(
    (await Promise.all(answers)).map(({ text }) => text),
    [0, 1, 2].map((n) => `hello guest ${n}`),
  );
});

Deno.test("serveEndpoints() finishes what it is answering before it is disposed of", async () => {
  await using bus = await startTestBus();
  await using caller = await bus.connect();
  const { promise: gate, resolve: open } = Promise.withResolvers<void>();
  let started = false;
  const service = await serve(bus, async (request, context) => {
    started = true;
    await gate;
    return await hello(request, context);
  });
  const answer = call(caller, greet, { name: "Jo" });
  await eventually(() => started);
  let disposed = false;
  const disposing = service[Symbol.asyncDispose]().then(() => disposed = true);
  await eventually(async () => {
    const error = await assertRejects(
      () => call(caller, greet, { name: "Jo" }, { timeoutMs: 100 }),
      AppError,
    );
    assertEquals(error.code, "unavailable");
  });
  assertEquals(disposed, false);
  open();
  await disposing;
  assertEquals(await answer, { text: "hello Jo" });
});

Deno.test("serveEndpoints() shares requests between copies", async () => {
  await using bus = await startTestBus();
  await using connection = await bus.connect();
  const counts = [0, 0];
  const counting = (copy: 0 | 1): Handler<typeof greet> => (request, context) => {
    counts[copy]!++;
    return hello(request, context);
  };
  await using _one = await serve(bus, counting(0));
  await using _two = await serve(connection, counting(1));
  await Promise.all(Array.from({ length: 200 }, () => call(bus, greet, { name: "Jo" })));
  assertEquals(counts[0]! + counts[1]!, 200);
  assert(counts[0]! > 0 && counts[1]! > 0, `one copy got all: ${counts}`);
});

Deno.test("serveEndpoints() leaves requests to other copies until its endpoint is ready", async () => {
  await using bus = await startTestBus();
  let ready = false;
  await using _service = await serve(bus, hello, {
    endpoints: [{ ...bind(greet, hello), isReady: () => ready }],
  });
  const early = await assertRejects(() => call(bus, greet, { name: "Jo" }), AppError);
  assertEquals(early.code, "unavailable");
  ready = true;
  await eventually(() => call(bus, greet, { name: "Jo" }));
});

Deno.test("serveEndpoints() refuses a reply that the server would not take", async () => {
  await using bus = await startTestBus();
  await using _service = await serve(
    bus,
    () => Promise.resolve({ text: "x".repeat(bus.nc.info!.max_payload) }),
  );
  const error = await assertRejects(() => call(bus, greet, { name: "Jo" }), AppError);
  assertEquals(error.code, "too_large");
  const long = "x".repeat(bus.nc.info!.max_payload);
  assertEquals((await assertRejects(() => call(bus, greet, { name: long }), AppError)).code, "too_large");
});

Deno.test("serveEndpoints() sends as many reasons of an error as fit", async () => {
  await using bus = await startTestBus();
  const reasons = Array.from(
    { length: 2_000 },
    (_, index) => ({ path: `/${index}`, message: "x".repeat(1_000) }),
  );
  await using _service = await serve(bus, () => Promise.reject(invalid("Cannot greet", reasons)));
  const error = await assertRejects(() => call(bus, greet, { name: "Jo" }), AppError);
  assertEquals(error.message, "Cannot greet");
  assertEquals(error.reasons, reasons.slice(0, error.reasons.length));
  assert(error.reasons.length > 50, `${error.reasons.length} reasons came`);
});

Deno.test("serveEndpoints() is listed with its statistics", async () => {
  await using bus = await startTestBus();
  await using _service = await serve(bus, ({ name }) => {
    return name === "nobody" ? Promise.reject(invalid("no")) : Promise.resolve({ text: name });
  }, { stats: () => Promise.resolve({ lag: 3 }) });
  await call(bus, greet, { name: "Jo" });
  await assertRejects(() => call(bus, greet, { name: "nobody" }), AppError);
  // The same cast as in serveEndpoints(): the package pins another core.
  const client = new Svcm(bus.nc as unknown as ConstructorParameters<typeof Svcm>[0]).client();
  const infos = await Array.fromAsync(await client.info("greeter"));
  assertEquals(
    infos.map(({ endpoints }) =>
      endpoints.map(({ name, subject, queue_group }) => ({ name, subject, queue_group }))
    ),
    [
      [{ name: "greet", subject: "greeter.v1.greet", queue_group: "greeter" }],
    ],
  );
  const [stats] = await Array.fromAsync(await client.stats("greeter"));
  const [endpointStats] = stats!.endpoints ?? [];
  const data = endpointStats!.data as Record<string, unknown>;
  assertEquals([endpointStats!.num_requests, data["lag"], data["errors"]], [2, 3, 1]);
});

Deno.test("serveEndpoints() counts what is asked by a subject with parameters", async () => {
  await using bus = await startTestBus();
  const greetOne = endpoint({
    service: "greeter",
    verb: "greet-one",
    subject: "greetings.{name}",
    summary: "Greet somebody",
    request: z.object({ name: z.string() }),
    reply: z.object({ text: z.string() }),
  });
  await using _service = await serveEndpoints(bus, {
    service: "greeter",
    version: "1.2.3",
    log: silentLogger,
    endpoints: [bind(greetOne, () => Promise.reject(invalid("no")))],
  });
  await bus.nc.request("greetings.Jo", "{}", { timeout: 5_000 });
  const client = new Svcm(bus.nc as unknown as ConstructorParameters<typeof Svcm>[0]).client();
  const [stats] = await Array.fromAsync(await client.stats("greeter"));
  const data = stats!.endpoints![0]!.data as Record<string, unknown>;
  assertEquals(data["errors"], 1);
});

Deno.test("call() is unavailable when no service answers or NATS is away", async () => {
  await using bus = await startTestBus();
  const error = await assertRejects(() => call(bus, greet, { name: "Jo" }), AppError);
  assertEquals([error.code, error.message], [
    "unavailable",
    "Cannot call greeter.v1.greet: no service answers it",
  ]);
  await bus.nc.close();
  assertEquals((await assertRejects(() => call(bus, greet, { name: "Jo" }), AppError)).code, "unavailable");
});

Deno.test("call() times out when the answer takes too long", async () => {
  await using bus = await startTestBus();
  const { promise: gate, resolve: open } = Promise.withResolvers<void>();
  await using _service = await serve(bus, async (request, context) => {
    await gate;
    return await hello(request, context);
  });
  const error = await assertRejects(() => call(bus, greet, { name: "Jo" }, { timeoutMs: 50 }), AppError);
  assertEquals([error.code, error.status], ["timeout", 504]);
  open();
});
