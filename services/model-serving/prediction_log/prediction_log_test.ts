import { assert, assertEquals, assertThrows } from "@std/assert";
import type { Bus } from "shared/bus/connection.ts";
import {
  deploymentBodySchema,
  type LogPolicy,
  type PredictionRecord,
  predictionRecordSchema,
} from "shared/contracts/model_serving.ts";
import { LOG_HEADER } from "shared/contracts/model_serving.ts";
import { dataEventSchema, MAX_BATCH_EVENTS } from "shared/contracts/envelope.ts";
import { STREAM } from "shared/contracts/streams.ts";
import { AppError } from "shared/errors.ts";
import { silentLogger } from "shared/log.ts";
import { startTestBus } from "shared/testing/bus.ts";
import { eventually } from "shared/testing/poll.ts";
import { storedEvents, storedMessages } from "shared/testing/streams.ts";
import { createEntryEncoder } from "./encode_entries.ts";
import type { LogEntry } from "./log_entry.ts";
import { createPredictionLog } from "./prediction_log.ts";

const features = ["orders.count", "orders.spend", "orders.kind"];

function entry(number: number, more: Partial<LogEntry> = {}): LogEntry {
  return {
    id: `0198c0de-0000-7000-8000-${String(number).padStart(12, "0")}`,
    call: {
      project: "shop",
      model: "reorder",
      version: 3,
      arm: "champion",
      assigned: null,
      rerouted: null,
      features,
      classes: ["no", 'per"haps'],
      featuresFrom: "store",
      featureService: { name: "orders", version: 2 },
      position: 42,
      snapshot: "7:9:8",
      at: "2026-01-01T00:00:00.000Z",
      servedAt: "2026-01-01T00:00:01.000Z",
      latencyMs: 1.25,
      traceparent: undefined,
    },
    outcome: "ok",
    code: null,
    error: null,
    output: 0.5,
    probabilities: undefined,
    entity: { customer_id: "17850" },
    request: { basket: 3 },
    given: [number, null, 'a "kind"'],
    row: 0,
    marks: undefined,
    statuses: ["PRESENT", "NOT_FOUND", "GIVEN"],
    shadowOf: null,
    ...more,
  };
}

const entries = (count: number, from = 0) => Array.from({ length: count }, (_, index) => entry(from + index));
const read = (bus: Bus) => storedEvents<PredictionRecord>(bus, STREAM.predictions);

function startLog(bus: Bus, policy: Partial<LogPolicy> = {}) {
  const { log } = deploymentBodySchema.parse({ log: policy });
  return createPredictionLog(bus, { instance: "test", log: silentLogger, policyOf: () => log });
}

Deno.test("createEntryEncoder() writes what JSON.stringify would, and the contracts take", () => {
  const encoder = createEntryEncoder({ model: "reorder", instance: 'in"stance', boot: "boot" });
  const odd = entry(1, {
    outcome: "error",
    code: "invalid",
    error: 'line\nbreak, "quotes", \u{1f600}',
    output: NaN,
    entity: null,
    given: [0, 0, 0, 1e-7, true, NaN],
    row: 1,
    request: undefined,
    marks: { "orders.kind": "MISSING" },
    probabilities: Float32Array.of(0, 0, 0.75, 0.25),
    statuses: undefined,
    shadowOf: "0198c0de-0000-7000-8000-000000000009",
  });
  odd.call = {
    ...odd.call,
    ...{ traceparent: '00-"', project: null, version: null, arm: null },
    ...{ featureService: null, position: null, snapshot: null },
  };
  const failed = entry(2, { given: undefined, statuses: undefined });
  const numbered = [entry(0), odd, failed].map((entry, sequence) => ({ entry, sequence }));
  const [first] = encoder.encode(numbered, 3, 0.5);
  const events = JSON.parse(new TextDecoder().decode(first!.message.data));
  for (const event of events) {
    assertEquals(dataEventSchema.parse(event), event);
    assertEquals(predictionRecordSchema.parse(event.data), event.data);
  }
  assertEquals(events[0].data, {
    project: "shop",
    model: "reorder",
    version: 3,
    arm: "champion",
    assigned: null,
    rerouted: null,
    shadowOf: null,
    outcome: "ok",
    code: null,
    error: null,
    output: 0.5,
    probabilities: null,
    entity: { customer_id: "17850" },
    features: { "orders.count": 0, "orders.spend": null, "orders.kind": 'a "kind"' },
    statuses: { "orders.spend": "NOT_FOUND", "orders.kind": "GIVEN" },
    marks: {},
    request: { basket: 3 },
    featuresFrom: "store",
    featureService: { name: "orders", version: 2 },
    position: 42,
    snapshot: "7:9:8",
    latencyMs: 1.25,
    sample: 0.5,
    servedAt: "2026-01-01T00:00:01.000Z",
    instance: 'in"stance',
    boot: "boot",
    sequence: 0,
  });
  assertEquals([events[1].definition, events[1].data.output, events[1].data.error], [0, null, odd.error]);
  assertEquals(events[1].data.features, { "orders.count": 1e-7, "orders.spend": true, "orders.kind": null });
  assertEquals(events[1].data.probabilities, { no: 0.75, 'per"haps': 0.25 });
  assertEquals(events[1].data.marks, { "orders.kind": "MISSING" });
  assertEquals(events[2].data.features, {});
});

Deno.test("createEntryEncoder() keeps messages within 1,000 records and 512 KiB", () => {
  const encoder = createEntryEncoder({ model: "reorder", instance: "test", boot: "boot" });
  const long = "x".repeat(2_000);
  const numbered = [
    ...entries(1_500),
    ...Array.from({ length: 500 }, (_, i) => entry(2_000 + i, { error: long })),
  ]
    .map((entry, sequence) => ({ entry, sequence }));
  const encoded = encoder.encode(numbered, numbered.length, 1);
  const messages = encoded.map(({ message }) => message);
  const sizes = messages.map(({ data }) => data.length);
  assert(Math.max(...sizes) <= 512 * 1024, String(sizes));
  const batches = messages.map(({ data }) => JSON.parse(new TextDecoder().decode(data)));
  assert(Math.max(...batches.map((batch) => batch.length)) <= MAX_BATCH_EVENTS);
  assertEquals(batches.map((batch) => batch.length), encoded.map(({ entries }) => entries));
  assertEquals(batches.flat().map(({ data }) => data.sequence), numbered.map(({ sequence }) => sequence));
  assertEquals(new Set(messages.map(({ messageId }) => messageId)).size, messages.length);
});

Deno.test("the prediction log numbers what it sends, a model at a time, and says when it closes", async () => {
  await using bus = await startTestBus();
  const log = startLog(bus);
  const other = entry(9);
  other.call = { ...other.call, model: "other" };
  log.append([...entries(3), other]);
  await eventually(async () => assertEquals((await read(bus)).length, 4));
  log.append(entries(2, 3));
  await log.stop();
  const records = (await read(bus)).map(({ data }) => data);
  assertEquals(records.filter(({ model }) => model === "reorder").map(({ sequence }) => sequence), [
    0,
    1,
    2,
    3,
    4,
  ]);
  assertEquals(records.filter(({ model }) => model === "other").map(({ sequence }) => sequence), [0]);
  const closing = (await storedMessages(bus, STREAM.predictions.name))
    .filter(({ header }) => header.has(LOG_HEADER.closed))
    .map(({ subject, header }) => [subject, header.get(LOG_HEADER.head)]);
  assertEquals(closing.sort(), [["predictions.other", "1"], ["predictions.reorder", "5"]]);
  assertEquals(log.counts(), { made: 6, waiting: 0, dropped: 0 });
});

Deno.test("the prediction log loses of a record that is too large for the server that one only, and counts it", async () => {
  await using bus = await startTestBus();
  const log = startLog(bus);
  const huge = entry(2, { outcome: "error", error: "x".repeat(bus.nc.info!.max_payload) });
  log.append([...entries(2), huge, ...entries(2, 3)]);
  await log.stop();
  assertEquals((await read(bus)).map(({ data }) => data.sequence), [0, 1, 3, 4]);
  assertEquals(log.counts(), { made: 5, waiting: 0, dropped: 1 });
});

for (
  const { whenFull, kept } of [
    { whenFull: "drop_oldest" as const, kept: [6, 7, 8, 9] },
    { whenFull: "drop_newest" as const, kept: [0, 1, 2, 3] },
  ]
) {
  Deno.test(`the prediction log bounds what waits while NATS is away: ${whenFull}`, async () => {
    await using bus = await startTestBus();
    const log = startLog(bus, { buffer: 4, whenFull });
    await bus.server.kill();
    log.append(entries(10));
    assertEquals(log.counts(), { made: 10, waiting: 4, dropped: 6 });
    await bus.server.restart();
    await eventually(() => assertEquals(log.counts().waiting, 0), { timeoutMs: 20_000 });
    await log.stop();
    assertEquals((await read(bus)).map(({ data }) => data.sequence).sort((a, b) => a - b), kept);
  });
}

Deno.test("the prediction log says how far it is while nobody asks anything, until it closes", async () => {
  await using bus = await startTestBus();
  const { log } = deploymentBodySchema.parse({});
  const predictionLog = createPredictionLog(bus, {
    instance: "test",
    log: silentLogger,
    policyOf: () => log,
    tellEveryMs: 10,
  });
  await predictionLog.start();
  predictionLog.append(entries(3));
  const told = async () =>
    (await storedMessages(bus, STREAM.predictions.name)).filter((message) => message.string() === "[]")
      .map(({ header }) => [header.get(LOG_HEADER.head), header.get(LOG_HEADER.closed)]);
  await eventually(async () => assert((await told()).length >= 3));
  await predictionLog.stop();
  const all = await told();
  assertEquals(all.at(-1), ["3", "true"]);
  assert(all.slice(0, -1).every(([head, closed]) => head === "3" && closed === ""));
  assertEquals((await read(bus)).length, 3);
});

Deno.test("the prediction log refuses calls when it is full, where that is declared", async () => {
  await using bus = await startTestBus();
  const log = startLog(bus, { buffer: 4, whenFull: "refuse" });
  await bus.server.kill();
  log.append(entries(3));
  log.checkRoom("reorder", 1);
  const refused = assertThrows(() => log.checkRoom("reorder", 2), AppError);
  assertEquals([refused.code, refused.retryAfter], ["unavailable", 5]);
  log.checkRoom("another", 4);
  await bus.server.restart();
  await log.stop();
});

Deno.test("the prediction log samples successes by the declared share, never errors, and leaves no gap", async () => {
  await using bus = await startTestBus();
  const log = startLog(bus, { sample: 0.25 });
  const answers = Array.from({ length: 4_000 }, (_, index) => entry(index));
  const shadows = answers.map(({ id }, index) => entry(10_000 + index, { shadowOf: id }));
  const errors = Array.from({ length: 50 }, (_, index) => entry(20_000 + index, { outcome: "error" }));
  log.append([...answers, ...shadows, ...errors]);
  await log.stop();
  const events = await read(bus);
  assertEquals(events.map(({ data }) => data.sequence), events.map((_, index) => index));
  assertEquals(events.filter(({ data }) => data.outcome === "error").length, 50);
  const kept = events.filter(({ data }) => data.outcome === "ok" && data.shadowOf === null);
  assert(Math.abs(kept.length - 1_000) < 5 * Math.sqrt(4_000 * 0.25 * 0.75), `${kept.length} of 4,000`);
  // A shadow's answer stands beside the one that it belongs to.
  const pairs = events.filter(({ data }) => data.shadowOf !== null).map(({ data }) => data.shadowOf);
  assertEquals(pairs, kept.map(({ id }) => id));
  assert(events.every(({ data }) => data.sample === (data.outcome === "error" ? 1 : 0.25)));
});

Deno.test("the prediction log stops while what it sent is never acknowledged", async () => {
  await using bus = await startTestBus();
  const log = startLog(bus);
  await log.start();
  await bus.server.kill();
  log.append(entries(1));
  let stopped = false;
  const stopping = log.stop().then(() => stopped = true);
  await eventually(() => stopped, { timeoutMs: 15_000 });
  await stopping;
});
