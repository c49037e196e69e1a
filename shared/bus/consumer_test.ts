import { assert, assertEquals, assertGreater, assertMatch, assertStringIncludes } from "@std/assert";
import { Registry } from "prom-client";
import { STREAM } from "../contracts/streams.ts";
import { invalid, unavailable } from "../errors.ts";
import { RELEASE_LIMIT_MS } from "../lifecycle.ts";
import { createLogger, silentLogger } from "../log.ts";
import { startTestBus } from "../testing/bus.ts";
import { eventually } from "../testing/poll.ts";
import { everythingIsAcknowledged, storedMessages } from "../testing/streams.ts";
import type { Bus } from "./connection.ts";
import { type ConsumerOptions, createConsumer, type Incoming } from "./consumer.ts";
import { publishAll } from "./publisher.ts";

const encoder = new TextEncoder();
const decoder = new TextDecoder();
const textOf = ({ data }: Incoming) => decoder.decode(data);

async function publishTexts(bus: Bus, texts: readonly string[], subject = "events.orders"): Promise<void> {
  await publishAll(
    bus,
    texts.map((text, index) => ({
      subject,
      data: encoder.encode(text),
      headers: { "Content-Type": "text/plain", "Microml-Project": "shop" },
      messageId: `${subject}:${index}:${text}`,
    })),
  );
}

const numbers = (count: number) => Array.from({ length: count }, (_, index) => String(index));

type Handle = ConsumerOptions["handle"];

function eventsConsumer(bus: Bus, handle: Handle, more: Partial<ConsumerOptions> = {}) {
  return createConsumer(bus, {
    service: "data-ingestion",
    stream: STREAM.events,
    durable: "data-ingestion",
    log: silentLogger,
    metrics: new Registry(),
    handle,
    ...more,
  });
}

/** Handles by taking down what came; `seen` has every delivery. */
function recorder(): { seen: string[]; handle: Handle } {
  const seen: string[] = [];
  return {
    seen,
    handle: (messages) => {
      seen.push(...messages.map(textOf));
      return Promise.resolve({});
    },
  };
}

/** A log that can be read. */
function readableLog() {
  const lines: Record<string, unknown>[] = [];
  const log = createLogger("test", { destination: { write: (line) => void lines.push(JSON.parse(line)) } });
  return { log, messages: () => lines.map((line) => String(line["message"])) };
}

const input = { stream: STREAM.events, durable: "data-ingestion" };
const allHandled = (bus: Bus) => eventually(() => everythingIsAcknowledged(bus, input));

Deno.test("createConsumer() hands messages over once, in order, in bounded batches", async () => {
  await using bus = await startTestBus();
  const sizes: number[] = [];
  const { seen, handle } = recorder();
  const consumer = eventsConsumer(bus, (messages) => {
    sizes.push(messages.length);
    return handle(messages);
  }, { maxMessages: 50 });
  await publishTexts(bus, numbers(1_000));
  await consumer.start();
  await allHandled(bus);
  assertEquals(seen, numbers(1_000));
  assertEquals(await consumer.lag(), 0);
  assert(Math.max(...sizes) <= 50);
  assertGreater(Math.max(...sizes), 1);
  await consumer.stop();
});

Deno.test("createConsumer() bounds a batch by its bytes, and takes a message that is larger alone", async () => {
  await using bus = await startTestBus();
  const batches: number[][] = [];
  const { seen, handle } = recorder();
  const consumer = eventsConsumer(bus, (messages) => {
    batches.push(messages.map(({ data }) => data.length));
    return handle(messages);
  }, { maxBytes: 10_000 });
  const texts = Array.from({ length: 100 }, (_, n) => `${n}`.padEnd(n % 10 === 9 ? 30_000 : 3_000));
  await publishTexts(bus, texts);
  await consumer.start();
  await allHandled(bus);
  assertEquals(seen, texts);
  for (const sizes of batches) {
    assert(sizes.length === 1 || sizes.reduce((a, b) => a + b) <= 10_000, `a batch had ${sizes} bytes`);
  }
  assert(batches.some((sizes) => sizes.length > 1));
  await consumer.stop();
});

Deno.test("createConsumer() goes on without a break when a request for messages ends", async () => {
  await using bus = await startTestBus();
  const { seen, handle } = recorder();
  let again = 0;
  const consumer = eventsConsumer(bus, (messages) => {
    again += messages.filter(({ redelivered }) => redelivered).length;
    return handle(messages);
  }, { maxMessages: 4 });
  await consumer.start();
  // Over several of the looks that a consumer takes at its requests, a second apart.
  const sent: string[] = [];
  for (const until = performance.now() + 3_500; performance.now() < until;) {
    const texts = numbers(20).map((number) => `${sent.length}/${number}`);
    await publishTexts(bus, texts);
    sent.push(...texts);
  }
  await allHandled(bus);
  assertEquals(seen, sent);
  assertEquals(again, 0);
  await consumer.stop();
});

Deno.test("createConsumer() tells all about a message", async () => {
  await using bus = await startTestBus();
  const messages: Incoming[] = [];
  const consumer = eventsConsumer(bus, (batch) => {
    messages.push(...batch);
    return Promise.resolve({});
  });
  await consumer.start();
  const before = new Date().toISOString();
  await publishTexts(bus, ["hello"]);
  const [message] = await eventually(() => messages.length === 1 && messages);
  const { receivedAt, data, ...rest } = message!;
  assertEquals(rest, {
    subject: "events.orders",
    name: "orders",
    stream: "EVENTS",
    sequence: 1,
    headers: {
      "Content-Type": "text/plain",
      "Microml-Project": "shop",
      "Nats-Msg-Id": "events.orders:0:hello",
    },
    redelivered: false,
  });
  assertEquals(decoder.decode(data), "hello");
  assertMatch(receivedAt, /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{3}Z$/);
  assert(receivedAt >= before.slice(0, 19) && receivedAt <= new Date(Date.now() + 1_000).toISOString());
  await consumer.stop();
});

Deno.test("createConsumer() publishes what handling led to before it acknowledges", async () => {
  await using bus = await startTestBus();
  const stages: string[] = [];
  const consumer = eventsConsumer(bus, (batch) => {
    stages.push("handled");
    return Promise.resolve({
      publish: batch.map(({ data, sequence }) => ({
        subject: "ingested.orders",
        data,
        messageId: `orders:${sequence}`,
      })),
    });
  }, { crashPoint: (stage) => void stages.push(stage) });
  await publishTexts(bus, ["a", "b", "c"]);
  await consumer.start();
  await allHandled(bus);
  assertEquals(stages.slice(0, 4), ["handled", "written", "published", "acknowledged"]);
  assertEquals((await storedMessages(bus, "INGESTED")).map((message) => message.string()), ["a", "b", "c"]);
  await consumer.stop();
});

Deno.test("createConsumer() moves a poisonous message whole to the dead letters and handles its neighbours", async () => {
  await using bus = await startTestBus();
  const { seen, handle } = recorder();
  let attempts = 0;
  const reasons = [{ path: "/price", message: "must be a number, not \u20ac5" }];
  const consumer = eventsConsumer(bus, (batch) => {
    if (batch.some((message) => textOf(message) === "poison")) {
      if (batch.length === 1) attempts++;
      return Promise.reject(invalid("Cannot take the price", reasons));
    }
    return handle(batch);
  }, { maxAttempts: 3 });
  const texts = [...numbers(20), "poison", ...numbers(20).map((text) => `after ${text}`)];
  await publishTexts(bus, texts);
  await consumer.start();
  await allHandled(bus);

  assertEquals(seen.toSorted(), texts.filter((text) => text !== "poison").toSorted());
  assertEquals([attempts, consumer.deadLetters()], [3, 1]);
  const [letter, ...others] = await storedMessages(bus, "DEADLETTER");
  assertEquals([others.length, letter!.string()], [0, "poison"]);
  assertEquals(letter!.subject, "deadletter.data-ingestion.EVENTS.orders");
  const header = (name: string) => letter!.header.get(name);
  assertEquals(JSON.parse(header("Microml-Reasons")), reasons);
  assertEquals(
    ["Content-Type", "Microml-Project", "Microml-Subject", "Microml-Stream", "Microml-Sequence"].map(header),
    ["text/plain", "shop", "events.orders", "EVENTS", "21"],
  );
  assertEquals([header("Microml-Attempts"), header("Microml-Message-Id")], ["3", "events.orders:20:poison"]);
  assert(header("Nats-Msg-Id") !== "events.orders:20:poison");
  await consumer.stop();
});

Deno.test("createConsumer() handles a message that fails at first, and leaves no dead letter", async () => {
  await using bus = await startTestBus();
  let failures = 2;
  const { seen, handle } = recorder();
  const consumer = eventsConsumer(bus, (batch) => {
    return failures-- > 0 ? Promise.reject(new Error("not yet")) : handle(batch);
  });
  await publishTexts(bus, ["a"]);
  await consumer.start();
  await allHandled(bus);
  assertEquals([seen, consumer.deadLetters()], [["a"], 0]);
  await consumer.stop();
});

Deno.test("createConsumer() moves single bad events to the dead letters", async () => {
  await using bus = await startTestBus();
  const reasons = [{ path: "/id", message: "is missing" }];
  const consumer = eventsConsumer(bus, (batch) =>
    Promise.resolve({
      aside: batch.map(({ data, name, subject, stream, sequence }) => ({
        name,
        subject,
        data,
        reasons,
        headers: { "Content-Type": "text/plain" },
        origin: `${stream}/${sequence}/0`,
      })),
    }));
  await publishTexts(bus, ["bad"], "events.orders");
  await publishTexts(bus, ["bad"], "events.products");
  await publishTexts(bus, ["bad", "bad"], "events.products");
  await consumer.start();
  await allHandled(bus);
  const letters = await storedMessages(bus, "DEADLETTER");
  assertEquals(letters.map(({ subject }) => subject).toSorted(), [
    "deadletter.data-ingestion.EVENTS.orders",
    "deadletter.data-ingestion.EVENTS.products",
    "deadletter.data-ingestion.EVENTS.products",
  ]);
  assertEquals(JSON.parse(letters[0]!.header.get("Microml-Reasons")), reasons);
  assertEquals(consumer.deadLetters(), 3);
  await consumer.stop();
});

Deno.test("createConsumer() keeps a dead letter's payload in the file store when there is no room beside it", async () => {
  await using bus = await startTestBus();
  const text = "x".repeat(bus.nc.info!.max_payload - 100);
  await publishAll(bus, [{ subject: "events.big", data: encoder.encode(text), messageId: "big:1" }]);
  const consumer = eventsConsumer(bus, () => Promise.reject(new Error("too much")), { maxAttempts: 1 });
  await consumer.start();
  const [letter] = await eventually(async () => {
    const letters = await storedMessages(bus, "DEADLETTER");
    return letters.length === 1 && letters;
  });
  const file = letter!.header.get("Microml-Payload-File");
  assertEquals(decoder.decode(await bus.files.get(file)), text);
  await consumer.stop();
});

Deno.test("createConsumer() pauses for the infrastructure, says so, and counts no attempt", async () => {
  await using bus = await startTestBus();
  const { log, messages } = readableLog();
  const metrics = new Registry();
  const { seen, handle } = recorder();
  let away = true;
  let calls = 0;
  const consumer = eventsConsumer(bus, (batch) => {
    calls++;
    return away ? Promise.reject(unavailable("Cannot reach the database")) : handle(batch);
  }, { log, metrics, maxAttempts: 1 });
  const metric = async (name: string) => {
    const { values } = await metrics.getSingleMetric(name)!.get();
    return values[0]?.value;
  };
  await publishTexts(bus, ["a", "b"]);
  await consumer.start();
  await eventually(() => calls >= 3);
  assertEquals(await metric("microml_consumer_paused"), 1);
  assertEquals(messages().filter((line) => line.includes("pauses")).length, 1);
  away = false;
  await allHandled(bus);
  assertEquals([seen, consumer.deadLetters()], [["a", "b"], 0]);
  assertStringIncludes(messages().at(-1)!, "goes on after");
  assertEquals(await metric("microml_consumer_paused"), 0);
  assertEquals(await metric("microml_consumer_messages_total"), 2);
  await consumer.stop();
});

Deno.test("createConsumer() waits when the next stream is full, and goes on when it has room", async () => {
  await using bus = await startTestBus();
  await bus.jsm.streams.update("INGESTED", { max_msgs: 1 });
  const consumer = eventsConsumer(bus, (batch) =>
    Promise.resolve({
      publish: batch.map(({ data, sequence }) => ({
        subject: "ingested.x",
        data,
        messageId: `x:${sequence}`,
      })),
    }));
  await publishTexts(bus, ["a", "b", "c"]);
  await consumer.start();
  await eventually(async () => (await bus.jsm.streams.info("INGESTED")).state.messages === 1);
  assertGreater(await consumer.lag(), 0);
  await bus.jsm.streams.update("INGESTED", { max_msgs: -1 });
  await allHandled(bus);
  assertEquals((await storedMessages(bus, "INGESTED")).length, 3);
  assertEquals(consumer.deadLetters(), 0);
  await consumer.stop();
});

Deno.test("createConsumer() speaks for messages that take longer than the acknowledgement may", async () => {
  await using bus = await startTestBus({ topology: { ackWaitMs: 300 } });
  const { promise: gate, resolve: open } = Promise.withResolvers<void>();
  const { seen, handle } = recorder();
  const slow = eventsConsumer(bus, async (batch) => {
    await gate;
    return handle(batch);
  }, { maxMessages: 2 });
  // Two in hand, two ahead; nobody else may get them, though they wait for several times the limit.
  await publishTexts(bus, numbers(4));
  await slow.start();
  await eventually(async () => {
    return (await bus.jsm.consumers.info("EVENTS", "data-ingestion")).num_ack_pending === 4;
  });
  const other = recorder();
  const second = eventsConsumer(bus, other.handle);
  await second.start();
  const startedAt = performance.now();
  await eventually(() => performance.now() - startedAt > 1_200);
  open();
  await allHandled(bus);
  assertEquals([seen, other.seen], [numbers(4), []]);
  await slow.stop();
  await second.stop();
});

Deno.test("createConsumer() shares a durable between copies", async () => {
  await using bus = await startTestBus();
  await using connection = await bus.connect();
  const [one, two] = [recorder(), recorder()];
  const consumers = [
    eventsConsumer(bus, one.handle, { maxMessages: 20 }),
    eventsConsumer(connection, two.handle, { maxMessages: 20 }),
  ];
  for (const consumer of consumers) await consumer.start();
  await eventually(async () => {
    return (await bus.jsm.consumers.info("EVENTS", "data-ingestion")).num_waiting === 2;
  });
  await publishTexts(bus, numbers(1_000));
  await allHandled(bus);
  assertGreater(one.seen.length, 0);
  assertGreater(two.seen.length, 0);
  assertEquals([...one.seen, ...two.seen].map(Number).toSorted((a, b) => a - b).map(String), numbers(1_000));
  for (const consumer of consumers) await consumer.stop();
});

Deno.test("createConsumer() finishes the batch in hand when it is stopped, and gives back the rest", async () => {
  await using bus = await startTestBus();
  const { promise: gate, resolve: open } = Promise.withResolvers<void>();
  const first = recorder();
  const consumer = eventsConsumer(bus, async (batch) => {
    const outcome = await first.handle(batch);
    await gate;
    return outcome;
  }, { maxMessages: 4 });
  await publishTexts(bus, numbers(10));
  await consumer.start();
  await eventually(async () => {
    const { num_ack_pending } = await bus.jsm.consumers.info("EVENTS", "data-ingestion");
    return first.seen.length > 0 && num_ack_pending > first.seen.length;
  });
  const stopped = consumer.stop();
  open();
  await stopped;
  const done = [...first.seen];
  // At once, though the wait for an acknowledgement is 30 s here.
  const second = recorder();
  const other = eventsConsumer(bus, second.handle);
  await other.start();
  await allHandled(bus);
  assertEquals([...done, ...second.seen].toSorted(), numbers(10).toSorted());
  await other.stop();
});

Deno.test("createConsumer() stops while it waits for the infrastructure", async () => {
  await using bus = await startTestBus();
  const { promise: called, resolve } = Promise.withResolvers<void>();
  const consumer = eventsConsumer(bus, () => {
    resolve();
    return Promise.reject(unavailable("Cannot reach the database"));
  });
  await publishTexts(bus, ["a"]);
  await consumer.start();
  await called;
  await consumer.stop();
  const { seen, handle } = recorder();
  const next = eventsConsumer(bus, handle);
  await next.start();
  await allHandled(bus);
  assertEquals(seen, ["a"]);
  await next.stop();
});

Deno.test("createConsumer() stops in time while it publishes to a NATS that is away", async () => {
  await using bus = await startTestBus();
  const { promise: called, resolve } = Promise.withResolvers<void>();
  const consumer = eventsConsumer(bus, async () => {
    await bus.server.kill();
    resolve();
    return { publish: [{ subject: "ingested.orders", data: encoder.encode("a"), messageId: "orders:a" }] };
  });
  await publishTexts(bus, ["a"]);
  await consumer.start();
  await called;
  let stopped = false;
  const stopping = consumer.stop().then(() => stopped = true);
  // Less than a process has to stop, and than a publish takes to give up.
  await eventually(() => stopped, { timeoutMs: RELEASE_LIMIT_MS });
  await stopping;
});

Deno.test("createConsumer() handles and moves a message whose headers the client can't read", async () => {
  for (const headers of ["bad name: 1", "name: 1\r2"]) {
    await using bus = await startTestBus();
    const { seen, handle } = recorder();
    const consumer = eventsConsumer(bus, async (batch) => {
      if (batch.some((message) => textOf(message) === "bad")) throw invalid("Cannot take it");
      return await handle(batch);
    }, { maxAttempts: 2 });
    await consumer.start();
    await publishRaw(bus.server.port, "events.orders", headers, "bad");
    await publishTexts(bus, ["good"]);
    await allHandled(bus);
    assertEquals(seen, ["good"]);
    assertEquals(consumer.deadLetters(), 1);
    await consumer.stop();
  }
});

/** Publishes as a client does that checks nothing. */
async function publishRaw(port: number, subject: string, headers: string, data: string): Promise<void> {
  using connection = await Deno.connect({ hostname: "127.0.0.1", port });
  const head = `NATS/1.0\r\n${headers}\r\n\r\n`;
  const publish = `HPUB ${subject} ${head.length} ${head.length + data.length}\r\n${head}${data}`;
  await connection.write(
    encoder.encode(`CONNECT {"verbose":false,"headers":true}\r\n${publish}\r\nPING\r\n`),
  );
  const answers = connection.readable.pipeThrough(new TextDecoderStream());
  let text = "";
  for await (const answer of answers) if ((text += answer).includes("PONG")) break;
}
