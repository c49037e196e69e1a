import { assertEquals } from "@std/assert";
import { readRecords } from "./read_records.ts";
import { isReadable, type Received } from "./received.ts";

const read = (payload: unknown, headers: Record<string, string> = {}) => {
  const received: Received = {
    source: "orders",
    data: new TextEncoder().encode(JSON.stringify(payload)),
    headers,
    arrivedAt: "2026-11-23T11:59:59.000Z",
    origin: { sequence: 1 },
  };
  return readRecords(received).map((record) =>
    isReadable(record)
      ? { data: record.data, envelope: record.envelope, reasons: record.reasons }
      : { payload: record.payload, reasons: record.reasons }
  );
};

const event = {
  specversion: "1.0",
  id: "e-1",
  source: "/tills/4",
  type: "order",
  time: "2011-01-01T00:00:00Z",
  data: { quantity: 6 },
};
const envelope = { id: "e-1", time: "2011-01-01T00:00:00Z" };

Deno.test("readRecords() recognises a structured CloudEvent by itself or by its content type", () => {
  const found = [{ data: { quantity: 6 }, envelope, reasons: [] }];
  assertEquals(read(event), found);
  assertEquals(read(event, { "Content-Type": "application/cloudevents+json; charset=utf-8" }), found);
});

Deno.test("readRecords() reads a binary CloudEvent from its headers", () => {
  const headers = {
    "content-type": "application/json",
    "ce-specversion": "1.0",
    "ce-id": "caf%C3%A9",
    "ce-source": "/tills/4",
    "ce-type": "order",
    "ce-time": "2011-01-01T00:00:00Z",
    "traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
  };
  assertEquals(read({ quantity: 6 }, headers), [{
    data: { quantity: 6 },
    envelope: { ...envelope, id: "caf\u00e9", traceparent: headers.traceparent },
    reasons: [],
  }]);
  assertEquals(read({ quantity: 6 }, { "ce-specversion": "0.3", "ce-id": "e-1" })[0]?.reasons, [
    { path: "/ce-specversion", message: 'must be "1.0", not "0.3"' },
    { path: "/ce-source", message: "must be a text that is not empty, not nothing" },
    { path: "/ce-type", message: "must be a text that is not empty, not nothing" },
  ]);
});

Deno.test("readRecords() reads a batch, of CloudEvents and of plain records", () => {
  const plain = { data: { quantity: 7 }, envelope: {}, reasons: [] };
  const structured = { data: { quantity: 6 }, envelope, reasons: [] };
  assertEquals(read([event], { "Content-Type": "application/cloudevents-batch+json" }), [structured]);
  assertEquals(read([{ quantity: 7 }, event]), [plain, structured]);
});

Deno.test("readRecords() tells all that is wrong with an envelope", () => {
  const broken = read({ specversion: "1.0", id: "", source: 4, time: 5, data: [] })[0];
  assertEquals(broken?.reasons, [
    { path: "/id", message: "must be a text that is not empty, not an empty text" },
    { path: "/source", message: "must be a text that is not empty, not a number" },
    { path: "/type", message: "must be a text that is not empty, not nothing" },
    { path: "/time", message: "must be a text that is not empty, not a number" },
    { path: "/data", message: "must be a JSON object, not an array" },
  ]);
  const { data: _, ...withoutData } = event;
  assertEquals(read({ ...withoutData, data_base64: "e30=" })[0]?.reasons, [
    { path: "/data_base64", message: "is not taken: send the record as JSON in data" },
  ]);
  assertEquals(read(event, { "Content-Type": "application/cloudevents-batch+json" })[0]?.reasons, [
    { path: "", message: "must be an array: its content type is application/cloudevents-batch+json" },
  ]);
  assertEquals(
    read({ quantity: 6 }, { "Content-Type": "application/cloudevents+json" })[0]?.reasons.length,
    5,
  );
});

Deno.test("readRecords() finds no record in what is nested too deeply, and lets its neighbours be", () => {
  const nested = (levels: number): unknown => JSON.parse("[".repeat(levels) + "]".repeat(levels));
  const [deep, fine] = read([{ a: nested(100_000) }, { a: nested(99) }]);
  assertEquals(deep?.reasons, [{ path: "", message: "is nested more than 100 levels deep" }]);
  const { payload: { json } = {} } = deep as { payload?: { json?: unknown } };
  assertEquals(JSON.stringify(json), `{"a":${"[".repeat(99)}"..."${"]".repeat(99)}}`);
  assertEquals(fine?.reasons, []);
});
