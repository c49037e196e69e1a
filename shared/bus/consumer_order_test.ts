import { assertEquals } from "@std/assert";
import { Registry } from "prom-client";
import { STREAM } from "../contracts/streams.ts";
import { invalid } from "../errors.ts";
import { silentLogger } from "../log.ts";
import { startTestBus } from "../testing/bus.ts";
import { eventually } from "../testing/poll.ts";
import { everythingIsAcknowledged, storedMessages } from "../testing/streams.ts";
import type { Bus } from "./connection.ts";
import { type ConsumerOptions, createConsumer, type Incoming } from "./consumer.ts";
import { publishAll } from "./publisher.ts";

const encoder = new TextEncoder();
const decoder = new TextDecoder();
const textsOf = (messages: readonly Incoming[]) => messages.map(({ data }) => decoder.decode(data)).join("+");

const input = { stream: STREAM.events, durable: "data-ingestion" };
const allHandled = (bus: Bus) => eventually(() => everythingIsAcknowledged(bus, input));

async function publishTexts(bus: Bus, texts: readonly string[]): Promise<void> {
  const messages = texts.map((text) => ({ subject: "events.orders", data: encoder.encode(text) }));
  await publishAll(bus, messages.map((message, n) => ({ ...message, messageId: `orders:${n}` })));
}

/** One message a batch. */
function preparingConsumer(bus: Bus, options: Pick<ConsumerOptions<string>, "prepare" | "handle">) {
  return createConsumer<string>(bus, {
    ...input,
    ...options,
    service: "data-ingestion",
    log: silentLogger,
    metrics: new Registry(),
    maxMessages: 1,
    maxAttempts: 2,
  });
}

const published = async (bus: Bus) =>
  (await storedMessages(bus, STREAM.ingested.name)).map(({ data }) => decoder.decode(data));

Deno.test("createConsumer() prepares a batch while the one ahead is written, and keeps the order", async () => {
  await using bus = await startTestBus();
  await publishTexts(bus, ["a", "b", "c"]);
  const steps: string[] = [];
  const { promise: aMayEnd, resolve: endA } = Promise.withResolvers<void>();
  const consumer = preparingConsumer(bus, {
    prepare(messages, ahead) {
      const text = textsOf(messages);
      steps.push(`prepare ${text} behind ${ahead}`);
      if (text === "b") endA();
      return Promise.resolve(`<${text}>`);
    },
    async handle(messages, prepared) {
      steps.push(`handle ${prepared}`);
      if (textsOf(messages) === "a") await aMayEnd;
      const data = encoder.encode(prepared);
      return { publish: [{ subject: "ingested.orders", data, messageId: `orders:${prepared}` }] };
    },
  });
  await consumer.start();
  await allHandled(bus);
  await consumer.stop();

  assertEquals(steps.slice(0, 4), [
    "prepare a behind undefined",
    "handle <a>",
    "prepare b behind <a>",
    "handle <b>",
  ]);
  assertEquals(steps.filter((step) => step.startsWith("handle")), ["handle <a>", "handle <b>", "handle <c>"]);
  assertEquals(await published(bus), ["<a>", "<b>", "<c>"]);
});

Deno.test("createConsumer() prepares anew what was prepared behind a batch that failed", async () => {
  await using bus = await startTestBus();
  await publishTexts(bus, ["bad", "good"]);
  const { promise: badMayFail, resolve: failBad } = Promise.withResolvers<void>();
  const handled: string[] = [];
  const consumer = preparingConsumer(bus, {
    prepare(messages, ahead) {
      const text = textsOf(messages);
      if (text === "good") failBad();
      return Promise.resolve(`${text} behind ${ahead}`);
    },
    async handle(messages, prepared) {
      if (textsOf(messages) === "bad") {
        await badMayFail;
        throw invalid("Cannot handle it");
      }
      handled.push(prepared);
      return {};
    },
  });
  await consumer.start();
  await allHandled(bus);
  await consumer.stop();

  assertEquals(handled, ["good behind undefined"]);
  assertEquals(consumer.deadLetters(), 1);
});

Deno.test("createConsumer() handles one batch at a time, and publishes in order, when a publication fails", async () => {
  await using bus = await startTestBus();
  await publishTexts(bus, ["a", "b", "c", "d"]);
  let running = 0;
  let most = 0;
  let attempts = 0;
  const consumer = preparingConsumer(bus, {
    async handle(messages) {
      most = Math.max(most, ++running);
      await new Promise((resolve) => setTimeout(resolve, 5));
      running--;
      const text = textsOf(messages);
      // What the server never takes is no failure of the infrastructure: the batch is handled once more.
      const size = text === "b" && attempts++ === 0 ? 2 * 1024 * 1024 : 0;
      const data = encoder.encode(text + " ".repeat(size));
      return { publish: [{ subject: "ingested.orders", data, messageId: `orders:${text}:${size}` }] };
    },
  });
  await consumer.start();
  await allHandled(bus);
  await consumer.stop();

  assertEquals(most, 1);
  assertEquals(attempts, 2);
  assertEquals(await published(bus), ["a", "b", "c", "d"]);
});
