import { assertEquals } from "@std/assert";
import { readRecords } from "./read_records.ts";
import { FILE_RECORDS_TYPE } from "shared/contracts/data_ingestion.ts";
import { type FoundRecord, isReadable, type Received } from "./received.ts";
import { compileSource, type Source } from "./source.ts";

const FILE = { "Content-Type": FILE_RECORDS_TYPE };

const read = (payload: unknown, headers: Record<string, string> = {}, source?: Source) => {
  const received: Received = {
    source: "orders",
    data: new TextEncoder().encode(JSON.stringify(payload)),
    headers,
    arrivedAt: "2026-11-23T11:59:59.000Z",
    origin: { sequence: 1 },
  };
  return readRecords(received, source).map((record) =>
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
  const [noFile] = read(nested(100_000), FILE);
  assertEquals((noFile as { payload?: unknown }).payload, {
    json: JSON.parse(`${"[".repeat(100)}"..."${"]".repeat(100)}`),
  });
});

const logs = (body: Record<string, unknown> = {}) =>
  compileSource({ name: "orders", project: "shop", version: 1, body: { kind: "logs", schema: {}, ...body } });

const readBytes = (data: Uint8Array | string, source: Source, headers: Record<string, string> = {}) =>
  readRecords({
    source: "orders",
    data: typeof data === "string" ? new TextEncoder().encode(data) : data,
    headers,
    arrivedAt: "2026-11-23T11:59:59.000Z",
    origin: { sequence: 1 },
  }, source);
const dataOf = (records: FoundRecord[]) =>
  records.map((record) => isReadable(record) ? record.data : record.reasons);

Deno.test("readRecords() reads lines of a source of logs by its format, and keeps those that do not fit", () => {
  const source = logs({ format: { pattern: "(?P<level>[A-Z]+) (?P<text>.*)" } });
  const records = readBytes("INFO started\r\n\nhello\nWARN hot\n", source, { "Content-Type": "text/plain" });
  assertEquals(records.map(({ position }) => position), [0, 1, 2]);
  assertEquals(dataOf([records[0]!, records[2]!]), [
    { level: "INFO", text: "started" },
    { level: "WARN", text: "hot" },
  ]);
  assertEquals(records.map(({ payload }) => payload), [
    { text: "INFO started" },
    { text: "hello" },
    { text: "WARN hot" },
  ]);
  assertEquals(records[1]!.reasons.length, 1);
  assertEquals(readBytes("\n\n", source).map(({ reasons }) => reasons), [
    [{ path: "", message: "must hold at least one line" }],
  ]);
});

Deno.test("readRecords() takes JSON of a source of logs as of any other", () => {
  const source = logs({ format: "combined" });
  assertEquals(dataOf(readBytes('{"a":1}', source)), [{ a: 1 }]);
  assertEquals(dataOf(readBytes('[{"a":1},{"a":2}]', source)), [{ a: 1 }, { a: 2 }]);
  assertEquals(dataOf(readBytes(JSON.stringify(event), source)), [{ quantity: 6 }]);
  const numbers = logs({ format: { pattern: "(?P<n>[0-9]+)" } });
  assertEquals(dataOf(readBytes("17", numbers)), [{ n: "17" }]);
  const broken = readBytes("{", source, { "content-type": "application/json" });
  assertEquals(broken[0]?.reasons[0]?.message.startsWith("must be JSON"), true);
});

Deno.test("readRecords() reads lines of JSON with the same care as JSON", () => {
  const records = readBytes('{"a":1}\n{"a":\n{"a":12345678901234567890}\n17', logs());
  assertEquals(dataOf(records).slice(0, 1), [{ a: 1 }]);
  assertEquals(records.map(({ reasons, altered }) => [reasons.length, altered]), [
    [0, false],
    [1, false],
    [1, true],
    [1, false],
  ]);
});

Deno.test("readRecords() can't read just the lines that are not in UTF-8", () => {
  const source = logs({ format: { pattern: "(?P<text>.*)" } });
  const bytes = new Uint8Array([...new TextEncoder().encode("one\ntw"), 0xff, 0x0d, 0x0a, 0x33]);
  const records = readBytes(bytes, source);
  assertEquals(dataOf(records), [
    { text: "one" },
    [{ path: "", message: "must be text in UTF-8" }],
    { text: "3" },
  ]);
  assertEquals(records.map(({ altered }) => altered), [false, true, false]);
});

Deno.test("readRecords() reads records of a file with their lines", () => {
  const source = logs({ format: { pattern: "(?P<text>[a-z]+)" } });
  const records = read(
    {
      file: "f00d",
      records: [
        { line: 2, data: { a: 1 } },
        { line: 3, data: event },
        { line: 5, text: "no \0 csv", reason: "has 3 fields, and must have 2" },
        { line: 6, text: "word" },
        { line: 7, sealed: "sealed:x", reason: "must be JSON: unlike this" },
        { line: 0, data: {} },
      ],
    },
    FILE,
    source,
  );
  assertEquals(records, [
    { data: { a: 1 }, envelope: {}, reasons: [] },
    { data: { quantity: 6 }, envelope, reasons: [] },
    {
      payload: { text: "no \uFFFD csv" },
      reasons: [{ path: "", message: "has 3 fields, and must have 2" }],
    },
    { data: { text: "word" }, envelope: {}, reasons: [] },
    { payload: { sealed: "sealed:x" }, reasons: [{ path: "", message: "must be JSON: unlike this" }] },
    {
      payload: { json: { line: 0, data: {} } },
      reasons: [{ path: "", message: "must be a record of a file, or a line of one, with its number" }],
    },
  ]);
  const places = readBytes(
    JSON.stringify({ file: "f00d", records: [{ line: 2, data: {} }, { line: 9, text: "word" }] }),
    source,
    FILE,
  );
  assertEquals(places.map(({ position, file }) => [position, file]), [
    [0, { name: "f00d", line: 2 }],
    [1, { name: "f00d", line: 9 }],
  ]);
});

Deno.test("readRecords() takes no line for a source that is not of logs, and no file without a name", () => {
  const events = compileSource({
    name: "orders",
    project: "shop",
    version: 1,
    body: { kind: "events", schema: {} },
  });
  const line = read({ file: "f", records: [{ line: 1, text: "a" }] }, FILE, events);
  assertEquals(line[0]?.reasons[0]?.message, "is a line of text, and its source is not of logs");
  assertEquals(read({ file: "", records: [{}] }, FILE)[0]?.reasons[0]?.path, "/file");
  assertEquals(read({ file: "f", records: [] }, FILE)[0]?.reasons[0]?.path, "/records");
});

Deno.test("readRecords() finds what is wrong in the data of a CloudEvent by its place in there", () => {
  const [record] = readBytes(
    JSON.stringify(event).replace('"quantity":6', '"quantity":1e999').replace("/tills/4", "\\ud800"),
    logs(),
  );
  assertEquals(record?.reasons.map(({ path }) => path), ["/source", "/quantity"]);
});

Deno.test("readRecords() finds one record that is none in a message of more than 20,000, in every form", () => {
  const many = Array.from({ length: 20_001 }, () => 1);
  const lines = compileSource({
    ...{ name: "logs", project: "shop", version: 1 },
    body: { kind: "logs", schema: {}, format: { pattern: "(?<word>.*)" } },
  });
  const raw = (data: Uint8Array) =>
    readRecords({
      ...{ source: "logs", data, headers: { "Content-Type": "text/plain" } },
      ...{ arrivedAt: "2026-11-23T11:59:59.000Z", origin: { sequence: 1 } },
    }, lines);
  const found = [
    read(many),
    read({ file: "f", records: many.map((_, n) => ({ line: n + 1, data: {} })) }, FILE),
    raw(new TextEncoder().encode(many.join("\n"))),
    raw(Uint8Array.of(...new TextEncoder().encode(many.join("\n")), 0xff)),
  ];
  for (const records of found) {
    assertEquals(records.map(({ reasons }) => reasons[0]?.message), [
      "holds 20001 records, and a message may hold 20000: send them in several",
    ]);
  }
  assertEquals(read(many.slice(1)).length, 20_000);
});
