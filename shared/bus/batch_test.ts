import { assert, assertEquals, assertInstanceOf, assertNotEquals, assertThrows } from "@std/assert";
import { HEADER, MAX_BATCH_BYTES, MAX_BATCH_EVENTS, type PlatformEvent } from "../contracts/envelope.ts";
import { BadMessage, decodeBatch, encodeBatches } from "./batch.ts";
import type { Incoming, Outgoing } from "./message.ts";

function event(id: string, data: Record<string, unknown> = {}): PlatformEvent {
  return {
    specversion: "1.0",
    id,
    source: "orders",
    type: "microml.ingested.v1",
    time: "2011-05-02T08:26:00.000Z",
    knownat: "2011-05-02T08:26:00.000Z",
    definition: 1,
    data,
  };
}

const events = (count: number, data?: Record<string, unknown>) =>
  Array.from({ length: count }, (_, index) => event(`order-${index}`, data));

function incoming({ data, subject, headers = {} }: Pick<Outgoing, "data" | "subject" | "headers">): Incoming {
  return {
    subject,
    name: "orders",
    stream: "INGESTED",
    sequence: 7,
    data,
    headers,
    receivedAt: "2011-05-02T08:26:00.000Z",
    redelivered: false,
  };
}

const message = (text: string) =>
  incoming({ subject: "ingested.orders", data: new TextEncoder().encode(text) });
const to = { subject: "ingested.orders", headers: { [HEADER.clock]: "2011-05-02T08:26:00.000Z" } };

Deno.test("encodeBatches() gives nothing when there are no events", () => {
  assertEquals(encodeBatches([], to), []);
});

Deno.test("encodeBatches() is read back by decodeBatch() with headers and order kept", () => {
  const list = [event("a", { text: "caf\u00e9" }), event("b"), { ...event("c"), run: "r1" }];
  const [batch, ...rest] = encodeBatches(list, to);
  assertEquals(rest, []);
  assertEquals(batch!.headers, { ...to.headers, "Content-Type": "application/cloudevents-batch+json" });
  assertEquals(decodeBatch(incoming(batch!)), list);
});

Deno.test("encodeBatches() splits by the number of events", () => {
  const batches = encodeBatches(events(2 * MAX_BATCH_EVENTS + 1), to);
  assertEquals(batches.map((batch) => decodeBatch(incoming(batch)).length), [1000, 1000, 1]);
});

Deno.test("encodeBatches() splits by bytes and loses no event", () => {
  const list = events(40, { text: "\u00e9".repeat(20_000) });
  const batches = encodeBatches(list, to);
  assert(batches.length > 1);
  for (const { data } of batches) assert(data.length <= MAX_BATCH_BYTES, `a batch has ${data.length} bytes`);
  assertEquals(batches.flatMap((batch) => decodeBatch(incoming(batch))), list);
});

Deno.test("encodeBatches() fills a batch to the last byte", () => {
  const overhead = encodeBatches([event("a", { text: "" }), event("b", { text: "" })], to)[0]!.data.length;
  const room = MAX_BATCH_BYTES - overhead;
  const pair = (extra: number) =>
    encodeBatches([event("a", { text: "x".repeat(room + extra) }), event("b", { text: "" })], to);
  assertEquals(pair(0).map(({ data }) => data.length), [MAX_BATCH_BYTES]);
  assertEquals(pair(1).length, 2);
});

Deno.test("encodeBatches() lets an event travel alone when it is larger than a batch", () => {
  const large = event("large", { text: "x".repeat(MAX_BATCH_BYTES) });
  const batches = encodeBatches([event("a"), large, event("b")], to);
  assertEquals(batches.map((batch) => decodeBatch(incoming(batch)).map(({ id }) => id)), [["a"], ["large"], [
    "b",
  ]]);
});

Deno.test("encodeBatches() derives the message id from the keys alone", () => {
  const idOf = (...list: PlatformEvent[]) => encodeBatches(list, to)[0]!.messageId;
  const id = idOf(event("a", { price: 1 }), event("b"));
  assertEquals(id, idOf(event("a", { price: 2 }), event("b")));
  assert(id.startsWith("orders:"));
  const others = [
    idOf(event("b"), event("a", { price: 1 })),
    idOf(event("ab")),
    idOf({ ...event("a"), definition: 2 }, event("b")),
    encodeBatches([event("a"), event("b")], { ...to, headers: { "Microml-Run": "r1" } })[0]!.messageId,
  ];
  for (const other of others) assertNotEquals(other, id);
});

Deno.test("decodeBatch() refuses what is no JSON array of events", () => {
  for (const text of ["", "{", '{"id":"a"}', "null", "7"]) {
    const error = assertThrows(() => decodeBatch(message(text)), BadMessage);
    assertEquals([error.code, error.reasons.length], ["invalid", 1]);
  }
});

Deno.test("decodeBatch() refuses bytes that are not UTF-8", () => {
  const bytes = new Uint8Array([0x5b, 0x22, 0xff, 0x22, 0x5d]);
  assertThrows(() => decodeBatch(incoming({ subject: "ingested.orders", data: bytes })), BadMessage);
});

Deno.test("decodeBatch() tells every mistake of every event with its place", () => {
  const { time: _, ...timeless } = event("c");
  const list = [
    event("a"),
    { ...event("b"), id: "", definition: -1 },
    timeless,
    { ...event("d"), data: [1] },
    5,
  ];
  const error = assertThrows(() => decodeBatch(message(JSON.stringify(list))));
  assertInstanceOf(error, BadMessage);
  assertEquals(error.reasons.map(({ path }) => path), ["/1/id", "/1/definition", "/2/time", "/3/data", "/4"]);
  assert(error.message.startsWith("Cannot read message 7 of INGESTED: "));
});
