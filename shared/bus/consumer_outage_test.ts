import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { Registry } from "prom-client";
import { STREAM } from "../contracts/streams.ts";
import { createLogger, silentLogger } from "../log.ts";
import { startTestBus } from "../testing/bus.ts";
import { eventually } from "../testing/poll.ts";
import { everythingIsAcknowledged } from "../testing/streams.ts";
import type { Bus } from "./connection.ts";
import { type Consumer, type ConsumerOptions, createConsumer } from "./consumer.ts";
import { type Outgoing, publishAll } from "./publisher.ts";

const encoder = new TextEncoder();
const decoder = new TextDecoder();

function orders(first: number, count: number): Outgoing[] {
  return Array.from({ length: count }, (_, index) => ({
    subject: "events.orders",
    data: encoder.encode(String(first + index)),
    messageId: `orders:${first + index}`,
  }));
}

const input = { stream: STREAM.events, durable: "data-ingestion" };

/** A consumer that keeps what it handles under unique keys, as a database would, and publishes it on. */
function passOn(bus: Bus, rows: Set<string>, more: Partial<ConsumerOptions> = {}): Consumer {
  return createConsumer(bus, {
    service: "data-ingestion",
    stream: STREAM.events,
    durable: "data-ingestion",
    log: silentLogger,
    metrics: new Registry(),
    handle(messages) {
      const texts = messages.map(({ data }) => decoder.decode(data));
      for (const text of texts) rows.add(text);
      return Promise.resolve({
        publish: texts.map((text) => ({
          subject: "ingested.orders",
          data: encoder.encode(text),
          messageId: `orders:${text}`,
        })),
      });
    },
    ...more,
  });
}

async function countOf(bus: Bus, stream: string): Promise<number> {
  return (await bus.jsm.streams.info(stream)).state.messages;
}

for (const way of ["stopped", "killed"] as const) {
  Deno.test(`createConsumer() loses and doubles nothing when NATS is ${way} for three seconds under load`, async () => {
    await using bus = await startTestBus({ topology: { ackWaitMs: 2_000 } });
    await using publisher = await bus.connect();
    const rows = new Set<string>();
    const consumer = passOn(bus, rows, { maxMessages: 100, maxAttempts: 1 });
    await consumer.start();

    const [chunks, perChunk] = [60, 200];
    const publishing = (async () => {
      for (let chunk = 0; chunk < chunks; chunk++) {
        await publishAll(publisher, orders(chunk * perChunk, perChunk), { timeoutMs: 60_000 });
      }
    })();
    await eventually(() => rows.size > 2_000);
    Deno.kill(bus.server.pid, way === "stopped" ? "SIGTERM" : "SIGKILL");
    await eventually(() => !bus.server.isAlive());
    assert(rows.size < chunks * perChunk, "the outage comes in the middle");
    const awayAt = performance.now();
    await eventually(() => performance.now() - awayAt > 3_000);
    await bus.server.restart();

    await publishing;
    await eventually(() => everythingIsAcknowledged(bus, input), { timeoutMs: 60_000 });
    assertEquals(rows.size, chunks * perChunk);
    assertEquals(await countOf(bus, "EVENTS"), chunks * perChunk);
    assertEquals(await countOf(bus, "INGESTED"), chunks * perChunk);
    assertEquals([await countOf(bus, "DEADLETTER"), consumer.deadLetters()], [0, 0]);
    await consumer.stop();
  });
}

Deno.test("createConsumer() makes stream and durable again when NATS lost its data", async () => {
  await using bus = await startTestBus();
  const lines: string[] = [];
  const log = createLogger("test", { destination: { write: (line) => void lines.push(line) } });
  const rows = new Set<string>();
  const consumer = passOn(bus, rows, { log });
  await consumer.start();
  await publishAll(bus, orders(0, 3));
  await eventually(() => rows.size === 3);

  await bus.jsm.streams.delete("EVENTS");
  await eventually(() => bus.jsm.consumers.info("EVENTS", "data-ingestion"));
  await publishAll(bus, orders(3, 3));
  await eventually(() => rows.size === 6);
  await eventually(() => everythingIsAcknowledged(bus, input));
  await consumer.stop();
  assertStringIncludes(lines.join(""), "A durable is missing: making it again");
});

Deno.test("createConsumer() takes a new stream's messages for new ones while it holds the lost one's", async () => {
  await using bus = await startTestBus();
  const seen: string[] = [];
  const { promise: gate, resolve: open } = Promise.withResolvers<void>();
  const consumer = passOn(bus, new Set(), {
    async handle(messages) {
      seen.push(...messages.map(({ data }) => decoder.decode(data)));
      await gate;
      return {};
    },
  });
  await consumer.start();
  await publishAll(bus, orders(0, 1));
  await eventually(() => seen.length === 1);
  await bus.jsm.streams.delete("EVENTS");
  await eventually(() => bus.jsm.consumers.info("EVENTS", "data-ingestion"));
  await publishAll(bus, orders(1, 1));
  await eventually(async () => {
    return (await bus.jsm.consumers.info("EVENTS", "data-ingestion")).num_ack_pending === 1;
  });
  open();
  await eventually(() => everythingIsAcknowledged(bus, input));
  assertEquals(seen, ["0", "1"]);
  await consumer.stop();
});

Deno.test("createConsumer() makes a durable again that somebody removed", async () => {
  await using bus = await startTestBus();
  const rows = new Set<string>();
  const consumer = passOn(bus, rows);
  await consumer.start();
  await publishAll(bus, orders(0, 3));
  await eventually(() => rows.size === 3);
  await bus.jsm.consumers.delete("EVENTS", "data-ingestion");
  await publishAll(bus, orders(3, 3));
  await eventually(() => rows.size === 6);
  await eventually(() => everythingIsAcknowledged(bus, input));
  await consumer.stop();
});

Deno.test("createConsumer() starts while NATS is away, and works when it is there", async () => {
  await using bus = await startTestBus();
  await publishAll(bus, orders(0, 3));
  await bus.server.kill();
  const rows = new Set<string>();
  const consumer = passOn(bus, rows);
  await consumer.start();
  await bus.server.restart();
  await eventually(() => rows.size === 3);
  await consumer.stop();
});

Deno.test("createConsumer() can be stopped while NATS is away, and when the connection is closed", async () => {
  await using bus = await startTestBus();
  const connection = await bus.connect();
  const consumers = [passOn(bus, new Set()), passOn(connection, new Set())];
  for (const consumer of consumers) await consumer.start();
  await connection.nc.close();
  await consumers[1]!.stop();
  await bus.server.kill();
  await consumers[0]!.stop();
});
