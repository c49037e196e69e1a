import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { StorageType } from "@nats-io/jetstream";
import { nanos } from "nats";
import { BUCKET, FILES_BUCKET, STREAM, STREAMS } from "../contracts/streams.ts";
import { AppError } from "../errors.ts";
import { startThrowawayNats } from "../infra/throwaway.ts";
import { silentLogger } from "../log.ts";
import { startTestBus } from "../testing/bus.ts";
import { type Bus, connectBus } from "./connection.ts";
import { ensureTopology } from "./topology.ts";

async function streamConfigs(bus: Bus) {
  const configs = [];
  for await (const { config } of bus.jsm.streams.list()) configs.push(config);
  return configs.sort((a, b) => a.name < b.name ? -1 : 1);
}

Deno.test("ensureTopology() makes everything that is declared, from several callers at once", async () => {
  await using server = await startThrowawayNats();
  await using disposables = new AsyncDisposableStack();
  const buses: Bus[] = [];
  for (let index = 0; index < 5; index++) {
    buses.push(disposables.use(await connectBus({ url: server.url, name: `b${index}`, log: silentLogger })));
  }
  await Promise.all(buses.map((bus) => ensureTopology(bus)));

  const [bus] = buses;
  const configs = await streamConfigs(bus!);
  const expected = [
    ...STREAMS.map(({ name }) => name),
    ...Object.values(BUCKET).map((bucket) => `KV_${bucket}`),
    `OBJ_${FILES_BUCKET}`,
  ].sort();
  assertEquals(configs.map(({ name }) => name), expected);
  for (const { name, storage } of configs) assertEquals(storage, StorageType.File, name);
  for (const row of STREAMS) {
    const config = configs.find(({ name }) => name === row.name)!;
    assertEquals(
      [config.subjects, config.retention, config.discard, config.max_bytes, config.max_age],
      [[...row.subjects], row.retention, row.discard, row.maxBytes, nanos(row.maxAgeMs ?? 0)],
    );
    const { state } = await bus!.jsm.streams.info(row.name);
    assertEquals(state.consumer_count, row.durables.length, row.name);
  }
  const { config } = await bus!.jsm.consumers.info("EVENTS", "data-ingestion");
  assertEquals([config.ack_policy, config.max_deliver, config.ack_wait], ["explicit", -1, nanos(30_000)]);
});

Deno.test("ensureTopology() changes nothing when it is called again", async () => {
  await using bus = await startTestBus();
  await bus.js.publish("ingested.orders", "kept until it is acknowledged");
  const before = await streamConfigs(bus);
  await ensureTopology(bus);
  assertEquals(await streamConfigs(bus), before);
  assertEquals((await bus.jsm.streams.info("INGESTED")).state.messages, 1);
});

Deno.test("ensureTopology() brings settings up to date", async () => {
  await using bus = await startTestBus();
  await bus.jsm.streams.update("EVENTS", { subjects: ["events.*", "more.*"], max_bytes: 1024 });
  await bus.jsm.consumers.update("EVENTS", "data-ingestion", { ack_wait: nanos(1_000), max_ack_pending: 5 });
  await ensureTopology(bus);
  const { config } = await bus.jsm.streams.info("EVENTS");
  assertEquals([config.subjects, config.max_bytes], [["events.*"], STREAM.events.maxBytes]);
  const durable = await bus.jsm.consumers.info("EVENTS", "data-ingestion");
  assertEquals(durable.config.ack_wait, nanos(30_000));
  assert(durable.config.max_ack_pending! > 1_000);
});

Deno.test("ensureTopology() names the stream when a setting cannot be changed", async () => {
  await using server = await startThrowawayNats();
  await using bus = await connectBus({ url: server.url, name: "test", log: silentLogger });
  await bus.jsm.streams.add({ name: "EVENTS", subjects: ["events.*"], storage: StorageType.Memory });
  const error = await assertRejects(() => ensureTopology(bus), AppError);
  assertEquals(error.code, "conflict");
  assertStringIncludes(error.message, "Cannot bring the stream EVENTS up to date: ");
});

Deno.test("ensureTopology() lets no message into a stream before its durables are there", async () => {
  await using server = await startThrowawayNats();
  await using bus = await connectBus({ url: server.url, name: "test", log: silentLogger });
  // Publishes as often as it can while the streams are being made.
  let making = true;
  const accepted: Promise<number> = (async () => {
    let count = 0;
    while (making) {
      try {
        await bus.js.publish("clean.orders", "x", { retries: 0, timeout: 500 });
        count++;
      } catch {
        // Refused, which is as it should be: the publisher knows that it is not stored.
      }
    }
    return count;
  })();
  await ensureTopology(bus);
  await bus.js.publish("clean.orders", "x");
  making = false;
  const count = await accepted + 1;
  assertEquals((await bus.jsm.streams.info("CLEAN")).state.messages, count);
});
