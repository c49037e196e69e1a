import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { Objm } from "@nats-io/obj";
import { FILES_BUCKET } from "../contracts/streams.ts";
import { AppError } from "../errors.ts";
import { startTestBus } from "../testing/bus.ts";

const EMPTY = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
const encoder = new TextEncoder();

Deno.test("put() stores bytes under their SHA-256, and get() gives them back", async () => {
  await using bus = await startTestBus();
  const bytes = crypto.getRandomValues(new Uint8Array(60_000));
  const large = new Uint8Array(1_000_000).map((_, index) => bytes[index % bytes.length]!);
  for (const file of [large, encoder.encode("a"), new Uint8Array()]) {
    const sha256 = await bus.files.put(file);
    assertEquals(await bus.files.get(sha256), file);
    assert(await bus.files.has(sha256));
  }
  assertEquals(await bus.files.put(new Uint8Array()), EMPTY);
});

Deno.test("put() stores equal bytes once, also when they come at the same time", async () => {
  await using bus = await startTestBus();
  await using other = await bus.connect();
  const file = encoder.encode("x".repeat(300_000));
  const put = () => Promise.all([bus, bus, other, other].map(({ files }) => files.put(file)));
  const names = new Set(await put());
  assertEquals(names.size, 1);
  const before = (await bus.jsm.streams.info(`OBJ_${FILES_BUCKET}`)).state;
  await put();
  const after = (await bus.jsm.streams.info(`OBJ_${FILES_BUCKET}`)).state;
  assertEquals(after.last_seq, before.last_seq);
  assertEquals(await bus.files.get([...names][0]!), file);
});

Deno.test("get() and has() tell of a file that is not there, and refuse what is no SHA-256", async () => {
  await using bus = await startTestBus();
  assertEquals(await bus.files.has(EMPTY), false);
  assertEquals((await assertRejects(() => bus.files.get(EMPTY), AppError)).code, "not_found");
  for (const name of ["", "../x", EMPTY.toUpperCase()]) {
    assertEquals((await assertRejects(() => bus.files.get(name), AppError)).code, "invalid");
    assertEquals((await assertRejects(() => bus.files.has(name), AppError)).code, "invalid");
  }
});

Deno.test("add() tells who has brought a file, remove() takes it away, and it can be brought again", async () => {
  await using bus = await startTestBus();
  const file = encoder.encode("a table");
  const added = await Promise.all([1, 2].map(() => bus.files.add(file)));
  assertEquals(added.map(({ isNew }) => isNew).sort(), [false, true]);
  const { sha256, isNew } = await bus.files.add(file);
  assertEquals(isNew, false);
  await bus.files.remove(sha256);
  await bus.files.remove(sha256);
  assertEquals(await bus.files.has(sha256), false);
  assertEquals(await bus.files.add(file), { sha256, isNew: true });
  assertEquals(await bus.files.get(sha256), file);
});

Deno.test("get() finds out when the bytes are not those of the name", async () => {
  await using bus = await startTestBus();
  const store = await new Objm(bus.js).open(FILES_BUCKET);
  await store.putBlob({ name: EMPTY }, encoder.encode("something else"));
  const error = await assertRejects(() => bus.files.get(EMPTY), AppError);
  assertEquals(error.code, "internal");
  assertStringIncludes(error.message, "its bytes have the SHA-256");
});

Deno.test("put() and get() are unavailable when NATS is away", async () => {
  await using bus = await startTestBus();
  await bus.nc.close();
  assertEquals((await assertRejects(() => bus.files.put(new Uint8Array()), AppError)).code, "unavailable");
  assertEquals((await assertRejects(() => bus.files.get(EMPTY), AppError)).code, "unavailable");
});
