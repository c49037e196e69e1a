import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import type { PlatformEvent } from "../contracts/envelope.ts";
import { AppError } from "../errors.ts";
import { startTestBus } from "../testing/bus.ts";
import { eventually } from "../testing/poll.ts";
import { storedMessages } from "../testing/streams.ts";
import { encodeBatches } from "./batch.ts";
import { type Outgoing, publishAll } from "./publisher.ts";

const encoder = new TextEncoder();

function messages(count: number, subject = "events.orders"): Outgoing[] {
  return Array.from({ length: count }, (_, index) => ({
    subject,
    data: encoder.encode(`{"n":${index}}`),
    headers: { "Microml-Project": "shop" },
    messageId: `orders:${index}`,
  }));
}

Deno.test("publishAll() resolves when every message is stored, in order, with its headers", async () => {
  await using bus = await startTestBus();
  await publishAll(bus, []);
  await publishAll(bus, messages(5_000));
  const { state } = await bus.jsm.streams.info("EVENTS");
  assertEquals(state.messages, 5_000);
  const last = await bus.jsm.streams.getMessage("EVENTS", { seq: 5_000 });
  assertEquals(
    [last!.string(), last!.header.get("Microml-Project"), last!.header.get("Nats-Msg-Id")],
    ['{"n":4999}', "shop", "orders:4999"],
  );
});

Deno.test("publishAll() stores a message id once", async () => {
  await using bus = await startTestBus();
  await publishAll(bus, messages(10));
  await publishAll(bus, messages(20));
  assertEquals((await bus.jsm.streams.info("EVENTS")).state.messages, 20);
});

Deno.test("publishAll() publishes to several streams at once", async () => {
  await using bus = await startTestBus();
  await publishAll(bus, [...messages(3, "events.orders"), ...messages(3, "clean.orders")]);
  assertEquals((await storedMessages(bus, "EVENTS")).length, 3);
  assertEquals((await storedMessages(bus, "CLEAN")).length, 3);
});

Deno.test("publishAll() is busy when a stream is full", async () => {
  await using bus = await startTestBus();
  await bus.jsm.streams.update("EVENTS", { max_msgs: 5 });
  const error = await assertRejects(() => publishAll(bus, messages(10)), AppError);
  assertEquals(error.code, "busy");
  assertStringIncludes(error.message, "maximum messages exceeded");
  await bus.jsm.streams.update("EVENTS", { max_msgs: -1, max_bytes: 100 });
  const full = await assertRejects(() => publishAll(bus, messages(20)), AppError);
  assertEquals(full.code, "busy");
});

Deno.test("publishAll() refuses a message beyond the server's limit before publishing any, by name", async () => {
  await using bus = await startTestBus();
  const event: PlatformEvent = {
    specversion: "1.0",
    id: "order-1",
    source: "orders",
    type: "microml.ingested.v1",
    time: "2011-05-02T08:26:00.000Z",
    knownat: "2011-05-02T08:26:00.000Z",
    definition: 1,
    data: { text: "x".repeat(bus.nc.info!.max_payload) },
  };
  const batches = encodeBatches([{ ...event, id: "order-0", data: {} }, event], {
    subject: "ingested.orders",
  });
  const error = await assertRejects(() => publishAll(bus, batches), AppError);
  assertEquals(error.code, "too_large");
  assertStringIncludes(error.message, 'Cannot publish the event "order-1" of "orders" to ingested.orders: ');
  assertEquals((await storedMessages(bus, "INGESTED")).length, 0);
});

Deno.test("publishAll() takes a message of exactly the server's limit", async () => {
  await using bus = await startTestBus();
  const limit = bus.nc.info!.max_payload;
  const send = (length: number) =>
    publishAll(bus, [{ subject: "events.big", data: new Uint8Array(length), messageId: "big:1" }]);
  const headerLength = "NATS/1.0\r\nNats-Msg-Id: big:1\r\n\r\n".length;
  await send(limit - headerLength);
  assertEquals((await storedMessages(bus, "EVENTS")).length, 1);
  assertEquals((await assertRejects(() => send(limit - headerLength + 1), AppError)).code, "too_large");
});

Deno.test("publishAll() makes streams again when NATS lost them", async () => {
  await using bus = await startTestBus();
  await bus.jsm.streams.delete("CLEAN");
  await publishAll(bus, messages(3, "clean.orders"));
  assertEquals((await storedMessages(bus, "CLEAN")).length, 3);
});

Deno.test("publishAll() is unavailable in time when no stream takes the subject", async () => {
  await using bus = await startTestBus();
  const error = await assertRejects(
    () => publishAll(bus, messages(3, "nowhere.orders"), { timeoutMs: 300 }),
    AppError,
  );
  assertEquals(error.code, "unavailable");
  assertStringIncludes(error.message, "no stream takes nowhere.orders");
});

Deno.test("publishAll() is unavailable in time when NATS is away, and when the connection is closed", async () => {
  await using bus = await startTestBus();
  await bus.server.kill();
  const away = await assertRejects(() => publishAll(bus, messages(3), { timeoutMs: 300 }), AppError);
  assertEquals(away.code, "unavailable");
  assertStringIncludes(away.message, "3 of 3 messages are not acknowledged");
  await bus.nc.close();
  const closed = await assertRejects(() => publishAll(bus, messages(3)), AppError);
  assertEquals(closed.code, "unavailable");
});

Deno.test("publishAll() loses and doubles nothing when NATS is killed and comes back", async () => {
  await using bus = await startTestBus();
  const count = 40_000;
  const published = publishAll(bus, messages(count), { timeoutMs: 60_000 });
  await eventually(async () => (await bus.jsm.streams.info("EVENTS")).state.messages > 1_000);
  await bus.server.kill();
  const before = await Promise.race([published.then(() => "done"), Promise.resolve("under way")]);
  assertEquals(before, "under way");
  await bus.server.restart();
  await published;
  const { state } = await bus.jsm.streams.info("EVENTS");
  assert(state.messages === count && state.last_seq === count, JSON.stringify(state));
});

Deno.test("publishAll() gives up soon when its caller stops while NATS is away", async () => {
  await using bus = await startTestBus();
  await bus.server.kill();
  const caller = new AbortController();
  const outcome = assertRejects(
    () => publishAll(bus, messages(3), { timeoutMs: 600_000, signal: caller.signal }),
    AppError,
  );
  caller.abort();
  // Long before the ten minutes are over.
  const error = await Promise.race([outcome, eventually(() => false)]);
  assertEquals((error as AppError).code, "unavailable");
});

Deno.test("publishAll() still publishes when its caller stops while NATS answers", async () => {
  await using bus = await startTestBus();
  await publishAll(bus, messages(3), { signal: AbortSignal.abort() });
  assertEquals((await bus.jsm.streams.info("EVENTS")).state.messages, 3);
});
