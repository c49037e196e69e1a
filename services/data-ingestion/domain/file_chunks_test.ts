import { assertEquals, assertRejects } from "@std/assert";
import { fileRecordsSchema } from "shared/contracts/data_ingestion.ts";
import type { ReadFileRecord } from "shared/files/file_record.ts";
import { chunkFile, type FileChunk, type FileChunkOptions } from "./file_chunks.ts";

const record = (line: number, data: Record<string, unknown> = { n: line }): ReadFileRecord => ({
  data,
  line,
  lastLine: line,
  end: line * 10,
});

async function* each(records: readonly ReadFileRecord[]) {
  yield* records;
}

const lines = (first: number, last: number) =>
  Array.from({ length: last - first + 1 }, (_, index) => record(first + index));

const chunksOf = (records: readonly ReadFileRecord[], options: Partial<FileChunkOptions> = {}) =>
  Array.fromAsync(chunkFile(each(records), { file: "f", ...options }));

const spans = (chunks: readonly FileChunk[]) =>
  chunks.map(({ firstLine, lastLine, records, end }) => [firstLine, lastLine, records, end]);

const read = ({ data }: FileChunk) => fileRecordsSchema.parse(JSON.parse(new TextDecoder().decode(data)));

Deno.test("chunkFile() begins a message at every thousandth line, wherever reading began", async () => {
  const whole = await chunksOf(lines(2, 2_300));
  assertEquals(spans(whole), [[2, 1_000, 999, 10_000], [1_001, 2_000, 1_000, 20_000], [
    2_001,
    2_300,
    300,
    23_000,
  ]]);
  const later = await chunksOf(lines(501, 2_300));
  assertEquals(later.slice(1), whole.slice(1));
});

Deno.test("chunkFile() begins a new message after half a megabyte", async () => {
  const large = Array.from({ length: 6 }, (_, index) => record(index + 1, { text: "x".repeat(200_000) }));
  assertEquals(spans(await chunksOf(large)).map(([first, last]) => [first, last]), [[1, 2], [3, 4], [5, 6]]);
});

Deno.test("chunkFile() writes what each record is", async () => {
  const [chunk] = await chunksOf([
    { ...record(1), json: '{"n": 12345678901234567890}' },
    { text: "GET /", line: 2, lastLine: 2, end: 2 },
    { text: "half", reason: "is half", line: 3, lastLine: 4, end: 3 },
  ]);
  assertEquals(new TextDecoder().decode(chunk!.data).includes('"data":{"n": 12345678901234567890}'), true);
  assertEquals(read(chunk!).records.slice(1), [
    { line: 2, text: "GET /" },
    { line: 3, text: "half", reason: "is half" },
  ]);
});

Deno.test("chunkFile() refuses a record that no message can hold", async () => {
  const chunks = await chunksOf([record(1), record(2, { text: "\u0001".repeat(200_000) }), record(3)]);
  const { records } = read(chunks[0]!);
  assertEquals(records.map(({ line }) => line), [1, 2, 3]);
  const refused = records[1] as { text: string; reason: string };
  assertEquals(refused.reason, "has 1200029 bytes as JSON, and may have 900000");
  assertEquals(refused.text.length, 65_539);
});

Deno.test("chunkFile() gives what was read before reading fails", async () => {
  async function* broken() {
    yield* lines(1, 3);
    throw new Error("the connection broke");
  }
  const seen: FileChunk[] = [];
  await assertRejects(
    async () => {
      for await (const chunk of chunkFile(broken(), { file: "f" })) seen.push(chunk);
    },
    Error,
    "the connection broke",
  );
  assertEquals(spans(seen), [[1, 3, 3, 30]]);
});
