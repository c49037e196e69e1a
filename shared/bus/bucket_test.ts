import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { z } from "zod";
import { BUCKET } from "../contracts/streams.ts";
import { delay } from "../delay.ts";
import { AppError } from "../errors.ts";
import { createLogger, silentLogger } from "../log.ts";
import { startTestBus } from "../testing/bus.ts";
import { lossyBus } from "../testing/lossy_bus.ts";
import { eventually } from "../testing/poll.ts";
import { bucketPut, bucketRemove, readBucket, watchBucket, type WatchOptions } from "./bucket.ts";
import type { Bus } from "./connection.ts";
import { publishAll } from "./publisher.ts";

const schema = z.object({ revision: z.int(), to: z.string() });
type Alias = z.infer<typeof schema>;

let ids = 0;
const put = (bus: Bus, key: string, value: unknown) =>
  publishAll(bus, [bucketPut(BUCKET.aliases, key, value, `alias:${ids++}`)]);
const remove = (bus: Bus, key: string) =>
  publishAll(bus, [bucketRemove(BUCKET.aliases, key, `alias:${ids++}`)]);

type Seen = [key: string, to: string | undefined];

function watch(
  bus: Bus,
  seen: Seen[],
  more: Partial<Pick<WatchOptions<typeof schema>, "filter" | "log" | "pause">> = {},
) {
  return watchBucket(bus, {
    bucket: BUCKET.aliases,
    filter: ">",
    schema,
    log: silentLogger,
    onEntry: (key, value: Alias | undefined) => void seen.push([key, value?.to]),
    ...more,
  });
}

Deno.test("readBucket() gives what was put last, and nothing for what was removed or never there", async () => {
  await using bus = await startTestBus();
  const read = () => readBucket(bus, BUCKET.aliases, "churn.champion", schema);
  assertEquals(await read(), undefined);
  await put(bus, "churn.champion", { revision: 1, to: "v1" });
  await put(bus, "churn.champion", { revision: 2, to: "v2" });
  assertEquals(await read(), { revision: 2, to: "v2" });
  await remove(bus, "churn.champion");
  assertEquals(await read(), undefined);
});

Deno.test("readBucket() refuses a value that is not of the schema", async () => {
  await using bus = await startTestBus();
  await put(bus, "churn.champion", { revision: "one" });
  const error = await assertRejects(
    () => readBucket(bus, BUCKET.aliases, "churn.champion", schema),
    AppError,
  );
  assertEquals([error.code, error.reasons.map(({ path }) => path)], ["invalid", ["/revision", "/to"]]);
});

Deno.test("watchBucket() has told the entries in force when it is started, then each change", async () => {
  await using bus = await startTestBus();
  await put(bus, "churn.champion", { revision: 1, to: "v1" });
  await put(bus, "churn.champion", { revision: 2, to: "v2" });
  await put(bus, "price.champion", { revision: 1, to: "v1" });
  const seen: Seen[] = [];
  const watcher = watch(bus, seen);
  await watcher.start();
  assertEquals(seen, [["churn.champion", "v2"], ["price.champion", "v1"]]);
  await put(bus, "churn.champion", { revision: 3, to: "v3" });
  await remove(bus, "price.champion");
  await eventually(() => seen.length === 4);
  assertEquals(seen.slice(2), [["churn.champion", "v3"], ["price.champion", undefined]]);
  await watcher.stop();
});

Deno.test("watchBucket() starts on an empty bucket, and heeds its filter", async () => {
  await using bus = await startTestBus();
  const seen: Seen[] = [];
  const watcher = watch(bus, seen, { filter: "churn.*" });
  await watcher.start();
  await put(bus, "price.champion", { revision: 1, to: "v1" });
  await put(bus, "churn.champion", { revision: 1, to: "v1" });
  await eventually(() => seen.length === 1);
  assertEquals(seen, [["churn.champion", "v1"]]);
  await watcher.stop();
});

Deno.test("watchBucket() passes over an entry that is not of the schema, and logs it", async () => {
  await using bus = await startTestBus();
  const lines: string[] = [];
  const log = createLogger("test", { destination: { write: (line) => void lines.push(line) } });
  await put(bus, "bad", { revision: 1 });
  await put(bus, "good", { revision: 1, to: "v1" });
  const seen: Seen[] = [];
  const watcher = watch(bus, seen, { log });
  await watcher.start();
  assertEquals(seen, [["good", "v1"]]);
  assertStringIncludes(lines.join(), "Cannot take an entry of a bucket");
  await watcher.stop();
});

Deno.test("watchBucket() tells what changed while NATS was away, and nothing twice", async () => {
  await using bus = await startTestBus();
  await using writer = await bus.connect();
  await put(bus, "churn.champion", { revision: 1, to: "v1" });
  await put(bus, "price.champion", { revision: 1, to: "v1" });
  const seen: Seen[] = [];
  const watcher = watch(bus, seen);
  await watcher.start();
  await bus.server.kill();
  const written = put(writer, "churn.champion", { revision: 2, to: "v2" });
  await bus.server.restart();
  await written;
  await eventually(() => seen.length >= 3);
  await put(bus, "price.champion", { revision: 2, to: "v2" });
  await eventually(() => seen.length >= 4);
  assertEquals(seen.slice(2), [["churn.champion", "v2"], ["price.champion", "v2"]]);
  await watcher.stop();
});

Deno.test("watchBucket() follows a bucket that was lost and made again", async () => {
  await using bus = await startTestBus();
  await put(bus, "churn.champion", { revision: 1, to: "v1" });
  await put(bus, "churn.champion", { revision: 2, to: "v2" });
  const seen: Seen[] = [];
  const watcher = watch(bus, seen);
  await watcher.start();
  await bus.jsm.streams.delete(`KV_${BUCKET.aliases}`);
  await put(bus, "churn.champion", { revision: 1, to: "v1 again" });
  await eventually(() => seen.length === 2);
  assertEquals(seen[1], ["churn.champion", "v1 again"]);
  await watcher.stop();
});

Deno.test("watchBucket() tells within a second what changed by a message that was lost, with the next look", async () => {
  await using bus = await startTestBus();
  const lossy = lossyBus(bus);
  await put(bus, "churn.champion", { revision: 1, to: "v1" });
  const seen: Seen[] = [];
  const looks: (() => void)[] = [];
  const asked = new Set<number>();
  const watcher = watch(lossy, seen, {
    pause: (ms, signal) => {
      asked.add(ms);
      const { promise, resolve } = Promise.withResolvers<void>();
      looks.push(resolve);
      signal?.addEventListener("abort", () => resolve());
      return promise;
    },
  });
  await watcher.start();
  const look = () => eventually(() => looks.length > 0).then(() => looks.shift()!());
  // Nothing was lost: nothing is read again.
  await look();
  await put(bus, "price.champion", { revision: 1, to: "v1" });
  await eventually(() => assertEquals(seen.length, 2));
  await look();

  lossy.lose(1);
  await put(bus, "churn.champion", { revision: 2, to: "v2" });
  await eventually(() => assertEquals(lossy.lost, 1));
  assertEquals(seen.length, 2);
  await look();
  await eventually(() => assertEquals(seen.slice(2), [["churn.champion", "v2"]]));
  await put(bus, "churn.champion", { revision: 3, to: "v3" });
  await eventually(() => assertEquals(seen.slice(3), [["churn.champion", "v3"]]));
  assert([...asked].every((ms) => ms < 1_000), `it looks every ${[...asked]} ms`);
  await watcher.stop();
});

Deno.test("watchBucket() tells what was lost also after it has asked the server for more", async () => {
  await using bus = await startTestBus();
  const lossy = lossyBus(bus);
  const seen: Seen[] = [];
  const watcher = watch(lossy, seen, { pause: (_, signal) => delay(15, signal) });
  await watcher.start();
  // With each 25th message the client asks for more, also with the one that is lost.
  const keys = Array.from({ length: 49 }, (_, index) => `model${index}.champion`);
  for (const key of keys) await put(bus, key, { revision: 1, to: "v1" });
  await eventually(() => assertEquals(seen.length, keys.length));
  lossy.lose(1);
  await put(bus, "churn.champion", { revision: 1, to: "v1" });
  await eventually(() => assertEquals(seen.slice(keys.length), [["churn.champion", "v1"]]));
  assertEquals(lossy.lost, 1);
  await watcher.stop();
});

Deno.test("watchBucket() can be stopped while NATS is away", async () => {
  await using bus = await startTestBus();
  const watcher = watch(bus, []);
  await watcher.start();
  await bus.server.kill();
  await watcher.stop();
});
