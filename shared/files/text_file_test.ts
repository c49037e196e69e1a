import { assert, assertEquals, assertRejects } from "@std/assert";
import type { FileOptions } from "../contracts/data_ingestion.ts";
import { AppError } from "../errors.ts";
import { MAX_LINE_BYTES } from "./file_record.ts";
import { type ReadFileRecord, readTextFile, type TextReading } from "./text_file.ts";

const encoder = new TextEncoder();
const CSV: FileOptions = { format: "csv", delimiter: ",", empty: "omit" };
const NDJSON: FileOptions = { ...CSV, format: "ndjson" };
const LINES: FileOptions = { ...CSV, format: "lines" };

/** The bytes in pieces, as a network would cut them. */
function cut(content: string | Uint8Array, pieceBytes: number): ReadableStream<Uint8Array> {
  const bytes = typeof content === "string" ? encoder.encode(content) : content;
  const pieces: Uint8Array[] = [];
  for (let start = 0; start < bytes.length; start += pieceBytes) {
    pieces.push(bytes.slice(start, start + pieceBytes));
  }
  return ReadableStream.from(pieces);
}

const read = (
  content: string | Uint8Array,
  options: FileOptions,
  reading?: TextReading,
  pieceBytes = 65_536,
) => Array.fromAsync(readTextFile(cut(content, pieceBytes), options, reading));

/** What each record came to, in short: its data, or its reason. */
const summary = (records: readonly ReadFileRecord[]) =>
  records.map((record) => [record.line, "data" in record ? record.data : record.reason ?? record.text]);

/** Bytes that say the same in Latin-1. */
const latin1 = (text: string) => Uint8Array.from(text, (character) => character.charCodeAt(0));

Deno.test("readTextFile() reads CSV, however the bytes arrive", async () => {
  const text = '\ufeffid,name,note\r\n1,"a ""b"", c",x\r\n\r\n2,"two\r\nlines",\r\n3,,last';
  for (const pieceBytes of [1, 3, 1_000]) {
    assertEquals(await read(text, CSV, {}, pieceBytes), [
      { data: { id: "1", name: 'a "b", c', note: "x" }, line: 2, lastLine: 2, end: 35 },
      { data: { id: "2", name: "two\r\nlines" }, line: 4, lastLine: 5, end: 54 },
      { data: { id: "3", note: "last" }, line: 6, lastLine: 6, end: 61 },
    ]);
  }
  const kept = await read("id;note\n1;\n", { ...CSV, delimiter: ";", empty: "text" });
  assertEquals(summary(kept), [[2, { id: "1", note: "" }]]);
});

Deno.test("readTextFile() refuses each broken line of CSV alone", async () => {
  const bytes = latin1([
    "id,name",
    '1,"never closed',
    "2,good",
    '3,a "stray" quote',
    '4,"text"behind',
    "5",
    "6,too,many",
    "7,caf\xe9",
    "8,nul\0",
    `9,${"x".repeat(MAX_LINE_BYTES)}`,
    '10,"closed"',
    '11,"open at the end',
  ].join("\n"));
  for (const pieceBytes of [7, 65_536]) {
    assertEquals(summary(await read(bytes, CSV, {}, pieceBytes)), [
      [2, "has a quote in field 2 that is not closed"],
      [3, { id: "2", name: "good" }],
      [4, "has a quote within field 2, which does not begin with one"],
      [5, "has text behind the closing quote of field 2"],
      [6, "has 1 field, and must have 2, as the header does"],
      [7, "has 3 fields, and must have 2, as the header does"],
      [8, "holds bytes that are no UTF-8"],
      [9, "holds the character U+0000, which cannot be stored"],
      [10, `has ${MAX_LINE_BYTES + 2} bytes, and may have ${MAX_LINE_BYTES}`],
      [11, { id: "10", name: "closed" }],
      [12, "has a quote in field 2 that is not closed"],
    ]);
  }
  const [, , , , , , , nul, long] = await read(bytes, CSV);
  assert(nul !== undefined && "text" in nul && long !== undefined && "text" in long);
  assertEquals(nul.text, "8,nul\ufffd");
  assertEquals(long.text.length, 65_536 + 3);
});

Deno.test("readTextFile() looks for the end of a quoted field within a hundred lines", async () => {
  const within = `a,b\n1,"${"x\n".repeat(98)}y"\n2,z\n`;
  assertEquals((await read(within, CSV)).map(({ line, lastLine }) => [line, lastLine]), [[2, 100], [
    101,
    101,
  ]]);
  const beyond = `a,b\n1,"${"x\n".repeat(100)}y"\n2,z\n`;
  const records = await read(beyond, CSV);
  assertEquals(records.length, 102);
  assertEquals(summary(records).at(-1), [103, { a: "2", b: "z" }]);
});

Deno.test("readTextFile() refuses a header that names no columns", async () => {
  for (
    const [text, detail] of [
      ["", "it is empty, and must begin with the names of its columns"],
      ["a,,c\n1,2,3\n", "its header (line 1) has no name for column 2"],
      ["\na,b,a\n1,2,3\n", 'its header (line 2) names two columns "a"'],
      ['a,"b\n1,2\n', "its header (line 1) has a quote in field 2 that is not closed"],
    ] as const
  ) {
    const error = await assertRejects(() => read(text, CSV), AppError, `Cannot read the file: ${detail}`);
    assertEquals(error.code, "invalid");
  }
  await assertRejects(() => read("a", { ...CSV, delimiter: '"' }), AppError, "must be no quote");
  const odd = await read("__proto__,b\n1,2\n", CSV);
  assertEquals(JSON.stringify(odd[0]), '{"data":{"__proto__":"1","b":"2"},"line":2,"lastLine":2,"end":16}');
});

Deno.test("readTextFile() leaves what may not be whole, and goes on from where a record ended", async () => {
  const text = 'a,b\n1,"x\ny"\n2,"z\nw"\n3,v';
  const whole = await read(text, CSV);
  for (let length = 0; length < text.length; length++) {
    let header: readonly string[] | undefined;
    let position = { offset: 0, line: 0 };
    const onHeader = (columns: readonly string[], { line, end }: { line: number; end: number }) => {
      header = columns;
      position = { offset: end, line };
    };
    const first = await read(text.slice(0, length), CSV, { complete: false, onHeader });
    for (const { end, lastLine } of first) position = { offset: end, line: lastLine };
    const second = await read(text.slice(position.offset), CSV, {
      ...position,
      ...(header && { header }),
      onHeader,
    });
    assertEquals([...first, ...second], whole, `cut at ${length}`);
  }
});

Deno.test("readTextFile() reads lines of JSON, with what they say", async () => {
  const text = '{"a":12345678901234567890}\n\n[1]\n{"a":\nnull\n{"b":"\u00e9"}';
  const records = await read(text, NDJSON);
  assertEquals(records.map(({ line }) => line), [1, 3, 4, 5, 6]);
  assertEquals(records[0], {
    data: { a: 12345678901234567000 },
    json: '{"a":12345678901234567890}',
    line: 1,
    lastLine: 1,
    end: 27,
  });
  assertEquals(summary(records).slice(1).map(([, content]) => content), [
    "must be a JSON object, not an array",
    "must be JSON: Unexpected end of JSON input",
    "must be a JSON object, not null",
    { b: "\u00e9" },
  ]);
});

Deno.test("readTextFile() hands on the lines of a log as they are", async () => {
  assertEquals(await read('GET "/"\r\n\nPOST\n', LINES), [
    { text: 'GET "/"', line: 1, lastLine: 1, end: 9 },
    { text: "POST", line: 3, lastLine: 3, end: 15 },
  ]);
  assertEquals(summary(await read(latin1("a\n\xff\n"), LINES)), [[1, "a"], [
    2,
    "holds bytes that are no UTF-8",
  ]]);
});

Deno.test("readTextFile() keeps no more of an endless line than its beginning", async () => {
  const piece = new Uint8Array(1_000_000).fill(120);
  let sent = 0;
  async function* endless() {
    for (; sent < 300; sent++) yield piece;
    yield encoder.encode("\nnext\n");
  }
  const before = Deno.memoryUsage().external;
  const records = await Array.fromAsync(readTextFile(endless(), LINES));
  assertEquals(records.map(({ line, end }) => [line, end]), [[1, 300_000_001], [2, 300_000_006]]);
  assert(Deno.memoryUsage().external - before < 50_000_000);
});

Deno.test("readTextFile() passes on what reading the bytes throws, behind the records before", async () => {
  async function* broken() {
    yield encoder.encode("a\nb\nhalf");
    throw new Error("the connection broke");
  }
  const seen: string[] = [];
  await assertRejects(
    async () => {
      for await (const record of readTextFile(broken(), LINES)) if ("text" in record) seen.push(record.text);
    },
    Error,
    "the connection broke",
  );
  assertEquals(seen, ["a", "b"]);
});
