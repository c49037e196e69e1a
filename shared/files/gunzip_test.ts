import { assertEquals, assertRejects } from "@std/assert";
import { gzipSync } from "node:zlib";
import { AppError } from "../errors.ts";
import { gunzip, isGzip } from "./gunzip.ts";

const zipped = (text: string) => new Uint8Array(gzipSync(text));

async function textOf(...parts: Uint8Array[]): Promise<string> {
  const bytes = await Array.fromAsync(gunzip(ReadableStream.from(parts)));
  return new TextDecoder().decode(
    new Uint8Array(await new Blob(bytes as Uint8Array<ArrayBuffer>[]).arrayBuffer()),
  );
}

Deno.test("gunzip() uncompresses, several members too, however the bytes arrive", async () => {
  const bytes = zipped("a line\n");
  assertEquals(isGzip(bytes), true);
  assertEquals(await textOf(bytes), "a line\n");
  assertEquals(await textOf(bytes.slice(0, 9), bytes.slice(9), bytes), "a line\na line\n");
});

Deno.test("gunzip() refuses what is no gzip, or ends too early", async () => {
  await assertRejects(() => textOf(new TextEncoder().encode("a line\n")), AppError, "Cannot uncompress");
  const error = await assertRejects(
    () => textOf(zipped("a line\n").slice(0, -9)),
    AppError,
    "Cannot uncompress",
  );
  assertEquals(error.code, "invalid");
});

Deno.test("gunzip() passes on what reading the bytes throws", async () => {
  async function* broken() {
    yield zipped("a line\n").slice(0, 9);
    throw new RangeError("the connection broke");
  }
  await assertRejects(() => Array.fromAsync(gunzip(broken())), RangeError, "the connection broke");
});
