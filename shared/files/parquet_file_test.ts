import { assert, assertEquals, assertRejects } from "@std/assert";
import { gzipSync, zstdCompressSync } from "node:zlib";
import { parquetWriteBuffer } from "hyparquet-writer";
import { AppError } from "../errors.ts";
import { type ParquetBytes, readParquetFile } from "./parquet_file.ts";

type WriteOptions = Parameters<typeof parquetWriteBuffer>[0];
type SchemaElements = NonNullable<WriteOptions["schema"]>;

const bytesOf = (buffer: ArrayBuffer): ParquetBytes & { bytesRead: number } => ({
  byteLength: buffer.byteLength,
  bytesRead: 0,
  slice(start, end = buffer.byteLength) {
    this.bytesRead += end - start;
    return Promise.resolve(buffer.slice(start, end));
  },
});

const write = (options: WriteOptions) => bytesOf(parquetWriteBuffer(options));

const rows = async (file: ParquetBytes, from?: { row: number }) =>
  (await Array.fromAsync(readParquetFile(file, from))).map((record) =>
    "data" in record ? record.data : record
  );

const root = (children: number): SchemaElements[number] => ({ name: "root", num_children: children });

Deno.test("readParquetFile() gives values as JSON has them, exactly", async () => {
  const schema: SchemaElements = [
    root(9),
    { name: "small", type: "INT64", repetition_type: "REQUIRED" },
    { name: "large", type: "INT64", repetition_type: "REQUIRED" },
    {
      name: "cents",
      type: "INT64",
      converted_type: "DECIMAL",
      scale: 2,
      precision: 18,
      repetition_type: "REQUIRED",
    },
    { name: "at", type: "INT64", converted_type: "TIMESTAMP_MICROS", repetition_type: "REQUIRED" },
    { name: "day", type: "INT32", converted_type: "DATE", repetition_type: "REQUIRED" },
    { name: "kind", type: "BYTE_ARRAY", converted_type: "ENUM", repetition_type: "REQUIRED" },
    { name: "raw", type: "BYTE_ARRAY", repetition_type: "REQUIRED" },
    { name: "ratio", type: "DOUBLE", repetition_type: "REQUIRED" },
    { name: "name", type: "BYTE_ARRAY", converted_type: "UTF8", repetition_type: "OPTIONAL" },
  ];
  const bytes = (text: string) => new TextEncoder().encode(text);
  const file = write({
    schema,
    statistics: false,
    columnData: [
      { name: "small", data: [1n, -2n] },
      { name: "large", data: [9_007_199_254_740_993n, -9_007_199_254_740_993n] },
      { name: "cents", data: [-5n, 123_456_789_012_345_678n] },
      { name: "at", data: [1_300_000_000_123_456n, -1n] },
      { name: "day", data: [15_000, -1] },
      { name: "kind", data: [bytes("view"), bytes("cart")] },
      { name: "raw", data: [Uint8Array.of(0, 255), new Uint8Array()] },
      { name: "ratio", data: [0.1, NaN] },
      { name: "name", data: ["\u00e9", null] },
    ],
  });
  assertEquals(await rows(file), [
    {
      small: 1,
      large: "9007199254740993",
      cents: "-0.05",
      at: "2011-03-13T07:06:40.123Z",
      day: "2011-01-26T00:00:00.000Z",
      kind: "view",
      raw: "AP8=",
      ratio: 0.1,
      name: "\u00e9",
    },
    {
      small: -2,
      large: "-9007199254740993",
      cents: "1234567890123456.78",
      at: "1969-12-31T23:59:59.999Z",
      day: "1969-12-31T00:00:00.000Z",
      kind: "cart",
      raw: "",
      ratio: null,
      name: null,
    },
  ]);
});

Deno.test("readParquetFile() gives lists and structs as JSON, decimals in them too", async () => {
  const file = write({
    schema: [
      root(2),
      { name: "prices", repetition_type: "OPTIONAL", converted_type: "LIST", num_children: 1 },
      { name: "list", repetition_type: "REPEATED", num_children: 1 },
      {
        name: "element",
        type: "INT32",
        converted_type: "DECIMAL",
        scale: 1,
        precision: 9,
        repetition_type: "OPTIONAL",
      },
      { name: "place", repetition_type: "OPTIONAL", num_children: 2 },
      { name: "city", type: "BYTE_ARRAY", converted_type: "UTF8", repetition_type: "OPTIONAL" },
      { name: "number", type: "INT64", repetition_type: "OPTIONAL" },
    ],
    statistics: false,
    columnData: [
      { name: "prices", data: [[1.5, null], null] },
      { name: "place", data: [{ city: "Graz", number: 2n ** 60n }, null] },
    ],
  });
  assertEquals(await rows(file), [
    { prices: ["1.5", null], place: { city: "Graz", number: "1152921504606846976" } },
    { prices: null, place: null },
  ]);
});

Deno.test("readParquetFile() goes on from a row, over ranges and row groups", async () => {
  const numbers = Int32Array.from({ length: 120_000 }, (_, index) => index);
  const file = write({ columnData: [{ name: "n", data: numbers }], rowGroupSize: 100_000 });
  const records = await Array.fromAsync(readParquetFile(file, { row: 49_998 }));
  assertEquals(records.length, 70_002);
  assertEquals(records[0], { data: { n: 49_998 }, line: 49_999, lastLine: 49_999, end: 49_999 });
  assertEquals(records.every((record) => "data" in record && record.data["n"] === record.line - 1), true);
});

Deno.test("readParquetFile() reads a row group when it comes to it", async () => {
  const numbers = Float64Array.from({ length: 1_000_000 }, (_, index) => Math.sqrt(index));
  const file = write({ columnData: [{ name: "n", data: numbers }], rowGroupSize: 100_000 });
  const records = readParquetFile(file);
  await records.next();
  await records.return(undefined);
  assert(file.bytesRead < file.byteLength / 3, `${file.bytesRead} of ${file.byteLength} bytes are read`);
});

Deno.test("readParquetFile() reads what gzip and zstd compress", async () => {
  const columnData = [{
    name: "n",
    data: Array.from({ length: 10_000 }, (_, index) => `text ${index % 10}`),
  }];
  for (const [codec, compress] of [["GZIP", gzipSync], ["ZSTD", zstdCompressSync]] as const) {
    const file = write({
      columnData,
      codec,
      compressors: { [codec]: (input: Uint8Array) => new Uint8Array(compress(input)) },
    });
    const read = await rows(file);
    assertEquals([read.length, read[9_999]], [10_000, { n: "text 9" }]);
  }
});

Deno.test("readParquetFile() refuses a row alone whose text is no UTF-8", async () => {
  const file = write({
    schema: [root(1), {
      name: "name",
      type: "BYTE_ARRAY",
      converted_type: "UTF8",
      repetition_type: "REQUIRED",
    }],
    statistics: false,
    columnData: [{ name: "name", data: [Uint8Array.of(0xff), new TextEncoder().encode("fine")] }],
  });
  assertEquals(await rows(file), [
    { text: '{"name":null}', reason: "name holds text that is no UTF-8", line: 1, lastLine: 1, end: 1 },
    { name: "fine" },
  ]);
});

Deno.test("readParquetFile() says that a file is none, or is broken", async () => {
  const good = parquetWriteBuffer({ columnData: [{ name: "n", data: [1, 2, 3] }] });
  const refusal = async (buffer: ArrayBuffer, detail: string) => {
    const error = await assertRejects(() => rows(bytesOf(buffer)), AppError, detail);
    assertEquals(error.code, "invalid");
  };
  await refusal(new ArrayBuffer(0), "it is no Parquet file");
  await refusal(new TextEncoder().encode("a,b,c\n1,2,3\n4,5,6\n").buffer, "it is no Parquet file");
  await refusal(good.slice(0, -1), "it is no Parquet file");
  const broken = new Uint8Array(good.slice(0));
  const footerBytes = new DataView(good).getUint32(good.byteLength - 8, true);
  broken.fill(0xff, broken.length - 8 - footerBytes, broken.length - 8);
  await refusal(broken.buffer, "Cannot read the Parquet file: it is broken");
  const pages = new Uint8Array(good.slice(0));
  pages.fill(0xff, 4, 20);
  await refusal(pages.buffer, "Cannot read the Parquet file: it is broken");
});

Deno.test("readParquetFile() passes on what reading the file throws", async () => {
  const good = bytesOf(parquetWriteBuffer({ columnData: [{ name: "n", data: [1, 2, 3] }] }));
  let left = 3;
  const failing: ParquetBytes = {
    byteLength: good.byteLength,
    slice: (start, end) =>
      left-- > 0 ? good.slice(start, end) : Promise.reject(new RangeError("the disk is gone")),
  };
  await assertRejects(() => rows(failing), RangeError, "the disk is gone");
});
