import { assert, assertEquals, assertGreater, assertRejects } from "@std/assert";
import { type DeadLetter, listDeadLetters, redriveDeadLetters } from "../contracts/dead_letters.ts";
import type { BoundEndpoint, CallContext } from "../contracts/endpoint.ts";
import { STREAM } from "../contracts/streams.ts";
import { AppError, invalid } from "../errors.ts";
import { silentLogger } from "../log.ts";
import { startTestBus, type TestBus } from "../testing/bus.ts";
import { createTestDatabase } from "../testing/database.ts";
import { eventually } from "../testing/poll.ts";
import { storedMessages } from "../testing/streams.ts";
import { type ConsumerOptions, createConsumer, type Incoming } from "./consumer.ts";
import { createDeadLetterEndpoints } from "./dead_letter_endpoints.ts";
import { DEADLETTER_HEADER } from "./dead_letter.ts";
import { getLetter, removeLetter } from "./dead_letter_store.ts";
import { publishAll } from "./publisher.ts";
import { redriveDeadLetters as redrive } from "./redrive_dead_letters.ts";
import { listDeadLetters as list } from "./list_dead_letters.ts";
import { Registry } from "prom-client";

const SERVICE = "data-ingestion";
const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** A consumer of EVENTS that moves to the dead letters what it can't handle. */
function consumerOf(bus: TestBus, handle: ConsumerOptions["handle"], more: Partial<ConsumerOptions> = {}) {
  return createConsumer(bus, {
    service: SERVICE,
    stream: STREAM.events,
    durable: SERVICE,
    log: silentLogger,
    metrics: new Registry(),
    maxAttempts: 1,
    handle,
    ...more,
  });
}

const refuse = () => Promise.reject(invalid("Cannot take it", [{ path: "/a", message: "is wrong" }]));

async function publish(bus: TestBus, texts: readonly string[], source = "orders"): Promise<void> {
  await publishAll(
    bus,
    texts.map((text, index) => ({
      subject: `events.${source}`,
      data: encoder.encode(text),
      headers: { "Content-Type": "text/plain", traceparent: "00-1" },
      messageId: `${source}/${index}/${text.slice(0, 20)}`,
    })),
  );
}

/** Lets the messages become dead letters. */
async function bury(bus: TestBus, texts: readonly string[], source = "orders"): Promise<void> {
  const before = (await bus.jsm.streams.info("DEADLETTER")).state.last_seq;
  await publish(bus, texts, source);
  const consumer = consumerOf(bus, refuse);
  await consumer.start();
  await eventually(async () =>
    (await bus.jsm.streams.info("DEADLETTER")).state.last_seq >= before + texts.length
  );
  await consumer.stop();
}

const newest = (bus: TestBus): Promise<DeadLetter> =>
  eventually(async () => {
    const [letter] = (await list(bus, SERVICE, { limit: 1 })).deadLetters;
    return letter ?? false;
  });

const numbers = (count: number) => Array.from({ length: count }, (_, index) => String(index));

Deno.test("listDeadLetters() pages from the newest to the oldest, past the letters of others", async () => {
  await using bus = await startTestBus();
  const others = numbers(200).map((text) => ({
    subject: "deadletter.alert.SIGNALS.psi",
    data: encoder.encode(text),
    messageId: `psi:${text}`,
  }));
  await bury(bus, numbers(15));
  await publishAll(bus, others);
  await bury(bus, numbers(5).map((n) => `late ${n}`), "products");
  await publishAll(bus, others.map((letter) => ({ ...letter, messageId: `${letter.messageId}/2` })));

  const pages: string[][] = [];
  let after: string | null | undefined;
  for (; after !== null && pages.length < 10;) {
    const page = await list(bus, SERVICE, { limit: 6, ...(after === undefined ? {} : { after }) });
    pages.push(page.deadLetters.map(({ payload }) => payload!));
    after = page.next;
  }
  const newestFirst = [...numbers(15), ...numbers(5).map((n) => `late ${n}`)].reverse();
  assertEquals(pages.flat().toSorted(), newestFirst.toSorted());
  assertEquals(pages.map(({ length }) => length), [6, 6, 6, 2]);
  assert(pages[0]!.every((text, index) => text.startsWith("late") === index < 5));

  const { deadLetters: [one], next } = await list(bus, SERVICE, { name: "products", limit: 1 });
  assertGreater(Number(next), 0);
  const { number: _, at, sequence, payload, ...letter } = one!;
  assert(at.endsWith("Z") && sequence! > 15 && payload!.startsWith("late"));
  assertEquals(letter, {
    name: "products",
    stream: "EVENTS",
    attempts: 1,
    reasons: [{ path: "/a", message: "is wrong" }],
    bytes: 6,
  });
  assertEquals(await list(bus, "model-monitoring", { limit: 5 }), { deadLetters: [], next: null });
  await assertRejects(() => list(bus, SERVICE, { name: "a.b", limit: 5 }), AppError, "no spaces, dots");
});

Deno.test("listDeadLetters() cuts payloads, and ends a page before it is too large", async () => {
  await using bus = await startTestBus();
  await bury(bus, numbers(200).map((n) => `${n} ${"\u20ac".repeat(3_000)}`));
  const page = await list(bus, SERVICE, { limit: 200 });
  assertEquals(page.deadLetters[0]!.payload!.length, 2_000);
  assertEquals(page.deadLetters[0]!.bytes, 9_004);
  assert(JSON.stringify(page).length < 300_000 && page.deadLetters.length > 50 && page.next !== null);
});

Deno.test("redriveDeadLetters() sends letters back as they were, under new message ids, and removes them", async () => {
  await using bus = await startTestBus();
  await bury(bus, ["a", "b", "c"]);
  const { deadLetters } = await list(bus, SERVICE, { limit: 10 });
  const b = deadLetters.find(({ payload }) => payload === "b")!;
  assertEquals(await redrive(bus, SERVICE, { numbers: [b.number] }), {
    redriven: 1,
    failed: [],
    more: false,
  });

  const seen: Incoming[] = [];
  const consumer = consumerOf(bus, (messages) => {
    seen.push(...messages);
    return Promise.resolve({});
  });
  await consumer.start();
  const [again] = await eventually(() => seen.length === 1 && seen);
  assertEquals([again!.subject, decoder.decode(again!.data)], ["events.orders", "b"]);
  const { "Nats-Msg-Id": id, ...headers } = again!.headers;
  assertEquals(headers, {
    "Content-Type": "text/plain",
    traceparent: "00-1",
    [DEADLETTER_HEADER.messageId]: "orders/1/b",
  });
  assertEquals(id, `orders:redriven:${b.number}:${b.at}`);
  assertEquals((await list(bus, SERVICE, { limit: 10 })).deadLetters.length, 2);

  assertEquals(await redrive(bus, SERVICE, { name: "products" }), { redriven: 0, failed: [], more: false });
  assertEquals(await redrive(bus, SERVICE), { redriven: 2, failed: [], more: false });
  await eventually(() => seen.length === 3);
  await consumer.stop();
  const { failed } = await redrive(bus, SERVICE, { numbers: [b.number, 999] });
  assertEquals(failed.map(({ number }) => number), [b.number, 999]);
});

Deno.test("redriveDeadLetters() keeps the first name of a message that fails again and again", async () => {
  await using bus = await startTestBus();
  bus.nc.publish("events.orders", "nameless");
  const consumer = consumerOf(bus, refuse);
  await consumer.start();
  for (let round = 1; round <= 3; round++) {
    const letter = await newest(bus);
    assertEquals(letter.sequence, round);
    const stored = await bus.jsm.streams.getMessage("DEADLETTER", { seq: letter.number });
    assertEquals(stored!.header.get(DEADLETTER_HEADER.messageId), "EVENTS/1");
    assertEquals((await redrive(bus, SERVICE)).redriven, 1);
  }
  await consumer.stop();
});

Deno.test("redriveDeadLetters() works through thousands, a thousand a call", async () => {
  await using bus = await startTestBus();
  await publishAll(
    bus,
    numbers(2_300).map((text) => ({
      subject: "deadletter.data-ingestion.EVENTS.orders",
      data: encoder.encode(text),
      headers: { [DEADLETTER_HEADER.subject]: "events.orders" },
      messageId: text,
    })),
  );
  const counts: number[] = [];
  for (let more = true; more;) {
    const outcome = await redrive(bus, SERVICE, { name: "orders" });
    counts.push(outcome.redriven);
    more = outcome.more;
  }
  assertEquals(counts, [1_000, 1_000, 300]);
  const { state } = await bus.jsm.streams.info("EVENTS");
  assertEquals(state.messages, 2_300);
});

Deno.test("redriveDeadLetters() leaves what can't go back, and says why", async () => {
  await using bus = await startTestBus();
  const letter = (headers: Record<string, string>, messageId: string) => ({
    subject: "deadletter.data-ingestion.EVENTS.orders",
    data: encoder.encode(messageId),
    headers,
    messageId,
  });
  const from = { [DEADLETTER_HEADER.subject]: "events.orders" };
  await publishAll(bus, [
    letter({}, "1"),
    letter({ [DEADLETTER_HEADER.subject]: "nowhere.orders" }, "2"),
    letter({ ...from, [DEADLETTER_HEADER.payloadFile]: "0".repeat(64) }, "3"),
    letter({ ...from, [DEADLETTER_HEADER.sealed]: "true" }, "4"),
    letter(from, "5"),
  ]);
  const { redriven, failed } = await redrive(bus, SERVICE);
  assertEquals(redriven, 1);
  assertEquals(failed.map(({ reason }) => reason.replace(/.*: /, "")), [
    "it does not say where it came from",
    "no stream takes the subject nowhere.orders",
    "it is not in the file store",
    "it is sealed, and there is no key to open it",
  ]);
  const shown = await list(bus, SERVICE, { limit: 10 });
  assertEquals(shown.deadLetters.map(({ payload }) => payload), [null, null, "2", "1"]);
  const open = (payload: Uint8Array) => encoder.encode(`opened ${decoder.decode(payload)}`);
  assertEquals((await redrive(bus, SERVICE, { numbers: [4], open })).redriven, 1);
  assertEquals((await storedMessages(bus, "EVENTS")).map((message) => message.string()), ["5", "opened 4"]);
});

Deno.test("redriveDeadLetters() brings a payload back from the file store", async () => {
  await using bus = await startTestBus();
  const text = "x".repeat(bus.nc.info!.max_payload - 400);
  await publish(bus, [text]);
  const consumer = consumerOf(bus, refuse);
  await consumer.start();
  const [letter] = await eventually(async () => {
    const { deadLetters } = await list(bus, SERVICE, { limit: 5 });
    return deadLetters.length === 1 && deadLetters;
  });
  await consumer.stop();
  assertEquals([letter!.bytes, letter!.payload], [text.length, "x".repeat(2_000)]);
  assertEquals(await redrive(bus, SERVICE), { redriven: 1, failed: [], more: false });
  assertEquals((await storedMessages(bus, "EVENTS")).at(-1)!.string(), text);
});

Deno.test("createDeadLetterEndpoints() answers the same to the same idempotency key", async () => {
  await using bus = await startTestBus();
  await using database = await createTestDatabase("alert");
  const contract = { list: listDeadLetters(SERVICE), redrive: redriveDeadLetters(SERVICE) };
  const endpoints = createDeadLetterEndpoints(bus, { service: SERVICE, ...contract, db: database.db });
  const [listed, redriven] = endpoints as [BoundEndpoint, BoundEndpoint];
  const context = (idempotencyKey?: string): CallContext => ({
    actor: "ann",
    idempotencyKey,
    traceparent: undefined,
  });
  await bury(bus, ["a", "b"]);
  const first = await redriven.handler({}, context("k"));
  assertEquals(first, { redriven: 2, failed: [], more: false });
  // With what was redriven.
  const consumer = consumerOf(bus, refuse);
  await consumer.start();
  await publish(bus, ["c"]);
  assertEquals(await redriven.handler({}, context("k")), first);
  await eventually(async () => {
    const { deadLetters } = await listed.handler({ limit: 5 }, context()) as { deadLetters: unknown[] };
    assertEquals(deadLetters.length, 3);
  });
  await consumer.stop();
});

Deno.test("createConsumer() tells of dead letters before it moves them, and seals what may not be read", async () => {
  await using bus = await startTestBus();
  const told: string[] = [];
  let away = true;
  const consumer = consumerOf(bus, () => Promise.reject(new Error('bad value: "secret"')), {
    onDeadLetters: async (messages) => {
      told.push(...messages.map(({ data }) => decoder.decode(data)));
      assertEquals((await bus.jsm.streams.info("DEADLETTER")).state.messages, 0);
      if (!away) return;
      away = false;
      throw new AppError("unavailable", "Cannot reach the database");
    },
    seal: (message) =>
      message.name === "orders"
        ? {
          ...message,
          data: encoder.encode("sealed"),
          headers: { ...message.headers, [DEADLETTER_HEADER.sealed]: "true" },
        }
        : message,
  });
  await publish(bus, ['{"card": "secret"}']);
  await consumer.start();
  const { deadLetters: [letter] } = await eventually(async () => {
    const page = await list(bus, SERVICE, { limit: 5 });
    return page.deadLetters.length === 1 && page;
  });
  assertEquals(told, ['{"card": "secret"}', '{"card": "secret"}']);
  assertEquals([letter!.payload, letter!.reasons], [null, [{ path: "", message: "it failed with Error" }]]);
  const stored = await bus.jsm.streams.getMessage("DEADLETTER", { seq: letter!.number });
  assertEquals(stored!.string(), "sealed");
  await consumer.stop();
});

Deno.test("createConsumer() does not take a publisher's word for what a dead letter says", async () => {
  await using bus = await startTestBus();
  await publishAll(bus, [{
    subject: "events.orders",
    data: encoder.encode("a"),
    headers: { [DEADLETTER_HEADER.payloadFile]: "0".repeat(64), [DEADLETTER_HEADER.sealed]: "true" },
    messageId: "a",
  }]);
  const consumer = consumerOf(bus, refuse);
  await consumer.start();
  const letter = await newest(bus);
  assertEquals(letter.payload, "a");
  await consumer.stop();
});

Deno.test("removeLetter() takes a letter that is gone for removed", async () => {
  await using bus = await startTestBus();
  await bury(bus, ["a"]);
  const { number } = await newest(bus);
  await removeLetter(bus, number);
  await removeLetter(bus, number);
  await removeLetter(bus, 999);
  assertEquals(await getLetter(bus, number), undefined);
});
