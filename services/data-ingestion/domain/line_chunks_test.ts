import { assertEquals, assertRejects } from "@std/assert";
import { type Chunk, chunkLines, LineTooLong, MAX_LINE_BYTES } from "./line_chunks.ts";

const encoder = new TextEncoder();

/** The same text in pieces of some bytes, as a network would cut it. */
const stream = (text: string, pieceBytes: number) => {
  const bytes = encoder.encode(text);
  const pieces: Uint8Array[] = [];
  for (let start = 0; start < bytes.length; start += pieceBytes) {
    pieces.push(bytes.slice(start, start + pieceBytes));
  }
  return ReadableStream.from(pieces);
};

async function chunksOf(text: string, pieceBytes = 7): Promise<{ text: string; records: number }[]> {
  const chunks: Chunk[] = [];
  for await (const chunk of chunkLines(stream(text, pieceBytes))) chunks.push(chunk);
  return chunks.map(({ data, records }) => ({ text: new TextDecoder().decode(data), records }));
}

Deno.test("chunkLines() packs lines into arrays, however the bytes arrive", async () => {
  const text = '{"a":1}\r\n\n{"b":"\u00e9"}\n12345678901234567890';
  for (const pieceBytes of [1, 7, 1_000]) {
    assertEquals(await chunksOf(text, pieceBytes), [
      { text: '[{"a":1},{"b":"\u00e9"},12345678901234567890]', records: 3 },
    ]);
  }
});

Deno.test("chunkLines() keeps a line that is no JSON apart", async () => {
  assertEquals(await chunksOf('{"a":1}\n{"b":\n{"c":3}\n'), [
    { text: '{"b":', records: 1 },
    { text: '[{"a":1},{"c":3}]', records: 2 },
  ]);
});

Deno.test("chunkLines() starts a new chunk after a thousand lines or half a megabyte", async () => {
  assertEquals((await chunksOf("{}\n".repeat(2_500), 999)).map(({ records }) => records), [
    1_000,
    1_000,
    500,
  ]);
  const line = `{"a":"${"x".repeat(300_000)}"}\n`;
  assertEquals((await chunksOf(line.repeat(3), 65_536)).map(({ records }) => records), [1, 1, 1]);
});

Deno.test("chunkLines() gives what comes before a line that is too long, then says which", async () => {
  const seen: number[] = [];
  const error = await assertRejects(async () => {
    const text = `{}\n{}\n"${"x".repeat(MAX_LINE_BYTES)}"\n{}\n`;
    for await (const { records } of chunkLines(stream(text, 65_536))) seen.push(records);
  }, LineTooLong);
  assertEquals(seen, [2]);
  assertEquals(error.line, 3);
});
