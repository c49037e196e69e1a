import { assert, assertEquals, assertThrows } from "@std/assert";
import type { Bus } from "shared/bus/connection.ts";
import { dataEventSchema, MAX_BATCH_BYTES, MAX_BATCH_EVENTS } from "shared/contracts/envelope.ts";
import {
  deploymentBodySchema,
  LOG_HEADER,
  type LogPolicy,
  predictionBlockSchema,
  recordsOf,
} from "shared/contracts/model_serving.ts";
import { STREAM } from "shared/contracts/streams.ts";
import { AppError } from "shared/errors.ts";
import { silentLogger } from "shared/log.ts";
import { startTestBus } from "shared/testing/bus.ts";
import { eventually } from "shared/testing/poll.ts";
import { storedPredictions } from "shared/testing/predictions.ts";
import { storedMessages } from "shared/testing/streams.ts";
import { createLogQueue, type LogQueue, type TakenBlock } from "./log_queue.ts";
import { type Given, GivenColumns } from "../validation/given.ts";
import { type LoggedCall, pickRows } from "./logged_call.ts";
import { createPredictionLog } from "./prediction_log.ts";

const features = ["orders.count", "orders.spend", "orders.kind"];
const featureService = { name: "orders", version: 2 };

const idOf = (number: number) => `0198c0de-0000-7000-8000-${String(number).padStart(12, "0")}`;

/** A call of one row. */
function oneRow(number: number, more: Partial<LoggedCall> = {}): LoggedCall {
  return {
    project: "shop",
    model: "reorder",
    version: 3,
    arm: "champion",
    assigned: null,
    rerouted: null,
    features,
    classes: null,
    featuresFrom: "store",
    featureService,
    position: 42,
    snapshot: "7:9:8",
    at: "2026-01-01T00:00:00.000Z",
    servedAtMs: Date.parse("2026-01-01T00:00:01.000Z"),
    latencyMs: 1.25,
    traceparent: undefined,
    failure: undefined,
    ids: [idOf(number)],
    outputs: Float32Array.of(0.5),
    probabilities: undefined,
    entities: [{ customer_id: "17850" }],
    request: [{ basket: 3 }],
    given: [number, null, 'a "kind"'],
    marks: new Map(),
    statuses: [["PRESENT", "NOT_FOUND", "GIVEN"]],
    shadowOf: undefined,
    ...more,
  };
}

/** A call of several rows. */
function manyRows(count: number, more: Partial<LoggedCall> = {}): LoggedCall {
  const numbers = Array.from({ length: count }, (_, number) => number);
  return oneRow(0, {
    ids: numbers.map(idOf),
    outputs: Float32Array.from(numbers),
    entities: undefined,
    request: undefined,
    given: numbers.flatMap((number) => [number, number / 4, null]),
    statuses: undefined,
    ...more,
  });
}

const calls = (count: number, from = 0) => Array.from({ length: count }, (_, index) => oneRow(from + index));

function startLog(bus: Bus, policy: Partial<LogPolicy> = {}, more: { tellEveryMs?: number } = {}) {
  const { log } = deploymentBodySchema.parse({ log: policy });
  return createPredictionLog(bus, { instance: "test", log: silentLogger, policyOf: () => log, ...more });
}

function queueOf(instance = "test", policy: Partial<LogPolicy> = {}): LogQueue {
  const { log } = deploymentBodySchema.parse({ log: policy });
  const origin = { model: "reorder", instance, boot: "boot" };
  return createLogQueue({ origin, policy: () => log, pool: [] });
}

const eventOf = (data: Uint8Array) => {
  const [event, ...others] = JSON.parse(new TextDecoder().decode(data));
  assertEquals(others, []);
  return { ...dataEventSchema.parse(event), data: predictionBlockSchema.parse(event.data) };
};

/** The records of all that waits. */
const takeAll = (queue: LogQueue) =>
  queue.take(Infinity).flatMap(({ bytes }) => recordsOf(eventOf(bytes.view())));

Deno.test("createLogQueue() writes what the contracts take, every record as it was", () => {
  const queue = queueOf('in"stance', { sample: 0.5 });
  queue.push(oneRow(0));
  // What is said of the caller's rows, of several classes, and once for both.
  const classes = ["no", 'per"haps'];
  queue.push(oneRow(1, {
    ids: [idOf(1), idOf(2)],
    classes,
    servedAtMs: Date.parse("2026-01-01T00:00:02.500Z"),
    at: null,
    traceparent: '00-"',
    outputs: [1, 0],
    probabilities: Float32Array.of(0.25, 0.75, 0.5, NaN),
    given: [1e-7, true, "\u{1f600}", NaN, 0.1, null],
    marks: new Map([[1, { "orders.kind": "MISSING" }]]),
    ...{ entities: undefined, request: undefined, statuses: undefined, position: null, snapshot: null },
  }));
  const error = 'line\nbreak, "quotes", \u{1f600}';
  queue.push(oneRow(3, {
    ...{ project: null, version: null, arm: null, featuresFrom: null, featureService: null, features: [] },
    ...{ failure: { code: "invalid", error }, outputs: undefined, given: undefined, statuses: undefined },
  }));
  queue.push(oneRow(4, { arm: "candidate", shadowOf: [idOf(0)] }));
  // It shares a block with the first.
  queue.push(oneRow(5, { servedAtMs: Date.parse("2026-01-01T00:00:00.900Z") }));

  assertEquals(queue.waiting, 6);
  const taken = queue.take(10);
  assertEquals(taken.map(({ sequence, records }) => [sequence, records]), [[0, 2], [1, 2], [3, 1], [4, 1]]);
  const [first, ...others] = taken.flatMap(({ bytes }) => recordsOf(eventOf(bytes.view())));
  assertEquals(first, {
    specversion: "1.0",
    id: idOf(0),
    source: "reorder",
    type: "microml.prediction.v2",
    time: "2026-01-01T00:00:00.000Z",
    knownat: "2026-01-01T00:00:01.000Z",
    definition: 3,
    data: {
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
    },
  });
  const [fifth, one, two, failed, shadow] = others;
  assertEquals([fifth!.data.sequence, fifth!.data.servedAt], [5, "2026-01-01T00:00:00.900Z"]);
  assertEquals([one!.time, one!.traceparent], ["2026-01-01T00:00:02.500Z", '00-"']);
  assertEquals(one!.data.features, {
    "orders.count": 1e-7,
    "orders.spend": true,
    "orders.kind": "\u{1f600}",
  });
  assertEquals(two!.data.features, { "orders.count": null, "orders.spend": 0.1, "orders.kind": null });
  assertEquals([one!, two!].map(({ data }) => data.probabilities), [
    { no: 0.25, 'per"haps': 0.75 },
    { no: 0.5, 'per"haps': null },
  ]);
  assertEquals([one!, two!].map(({ data }) => [data.output, data.sequence, data.marks]), [
    [1, 1, {}],
    [0, 2, { "orders.kind": "MISSING" }],
  ]);
  assertEquals([one!.data.statuses, one!.data.entity, one!.data.position], [{}, null, null]);
  assertEquals([failed!.definition, failed!.data.code, failed!.data.error], [0, "invalid", error]);
  assertEquals([failed!.data.features, failed!.data.sample], [{}, 1]);
  assertEquals([shadow!.data.arm, shadow!.data.shadowOf], ["candidate", idOf(0)]);
});

Deno.test("createLogQueue() keeps blocks within 1,000 records and 512 KiB, and parts calls that are more", () => {
  const queue = queueOf();
  const long = { code: "invalid", error: "x".repeat(2_000) };
  for (const call of calls(1_500)) queue.push(call);
  for (let number = 0; number < 500; number++) queue.push(oneRow(2_000 + number, { failure: long }));
  queue.push(manyRows(2_500));
  queue.push(manyRows(900, { given: Array.from({ length: 2_700 }, () => "y".repeat(500)) }));
  // A single record may be larger.
  queue.push(oneRow(9_999, { failure: { code: "invalid", error: "z".repeat(MAX_BATCH_BYTES) } }));
  const made = 1_500 + 500 + 2_500 + 900 + 1;
  assertEquals([queue.head, queue.waiting], [made, made]);
  const taken = queue.take(Infinity);
  const sizes = taken.map(({ bytes }) => bytes.length).sort((a, b) => b - a);
  assert(sizes[0]! > MAX_BATCH_BYTES && sizes[1]! <= MAX_BATCH_BYTES, String(sizes));
  assert(taken.every(({ records }) => records <= MAX_BATCH_EVENTS));
  const events = taken.map(({ bytes }) => eventOf(bytes.view()));
  assertEquals(events.map((event) => recordsOf(event).length), taken.map(({ records }) => records));
  const records = events.flatMap(recordsOf).map(({ data }) => data);
  assertEquals(records.map(({ sequence }) => sequence), Array.from({ length: made }, (_, index) => index));
  assertEquals(records.slice(2_000, 4_500).map(({ output }) => output), [...new Array(2_500).keys()]);
  assertEquals(new Set(taken.map(({ sequence }) => sequence)).size, taken.length);
});

Deno.test("createLogQueue() writes what was given as columns or typed lists as it does rows", () => {
  const values = [0, 0.25, -3, 1, 1e-7, 123_456.78];
  const givens: Given[] = [
    values,
    Float64Array.from(values),
    new GivenColumns([[0, 1], [0.25, 1e-7], [-3, 123_456.78]]),
  ];
  const featuresOf = (given: Given) => {
    const queue = queueOf();
    queue.push(manyRows(2, { given }));
    return takeAll(queue).map(({ data }) => Object.values(data.features));
  };
  for (const given of givens) assertEquals(featuresOf(given), [values.slice(0, 3), values.slice(3)]);
  // What came as float32 is read as the same float32.
  const read = featuresOf(Float32Array.from(values)).flat();
  assertEquals(read.map((value) => Math.fround(value as number)), values.map(Math.fround));
  const part = pickRows(manyRows(2, { given: givens[2] }), [1]);
  assertEquals(part.given, values.slice(3));
});

Deno.test("createLogQueue() writes over a block that is in the stream, and over none that may be on its way", () => {
  const queue = queueOf();
  const next = (number: number) => {
    queue.push(oneRow(number));
    return queue.take(Infinity)[0]!;
  };
  const idsOf = (block: TakenBlock) => recordsOf(eventOf(block.bytes.view())).map(({ id }) => id);
  const [sent, onItsWay] = [next(0), next(1)];
  queue.settle(sent, { sent: true });
  const third = next(2);
  assert(third.bytes === sent.bytes);
  queue.settle(onItsWay, { sent: false });
  assert(next(3).bytes !== onItsWay.bytes);
  assertEquals([idsOf(onItsWay), idsOf(third)], [[idOf(1)], [idOf(2)]]);
  assertEquals(queue.waiting, 2);
});

Deno.test("createLogQueue() drops of calls of many rows as many as the bound wants, the oldest or the newest", () => {
  const kept = (whenFull: LogPolicy["whenFull"]) => {
    const queue = queueOf("test", { buffer: 10, whenFull });
    queue.push(manyRows(3));
    queue.push(manyRows(4, { arm: "candidate" }));
    queue.push(manyRows(5));
    assertEquals([queue.head, queue.waiting + queue.dropped], [12, 12]);
    const beyond = queueOf("test", { buffer: 2, whenFull });
    beyond.push(manyRows(5));
    assertEquals([beyond.waiting, beyond.dropped], [2, 3]);
    return [takeAll(queue), takeAll(beyond)].map((events) => events.map(({ data }) => data.sequence));
  };
  // The oldest are dropped a call at a time.
  assertEquals(kept("drop_oldest"), [[3, 4, 5, 6, 7, 8, 9, 10, 11].sort((a, b) => a - b), [3, 4]]);
  assertEquals(kept("drop_newest"), [[0, 1, 2, 7, 8, 9, 3, 4, 5, 6], [0, 1]]);
});

Deno.test("the prediction log numbers what it sends, a model at a time, and says when it closes", async () => {
  await using bus = await startTestBus();
  const log = startLog(bus);
  calls(3).forEach(log.append);
  log.append(oneRow(9, { model: "other" }));
  await eventually(async () => assertEquals((await storedPredictions(bus)).length, 4));
  calls(2, 3).forEach(log.append);
  await log.stop();
  const records = (await storedPredictions(bus)).map(({ data }) => data);
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

Deno.test("the prediction log keeps the outcomes of a deployed model, however many names callers made up", async () => {
  await using bus = await startTestBus();
  const { log: policy } = deploymentBodySchema.parse({});
  const log = createPredictionLog(bus, {
    instance: "test",
    log: silentLogger,
    policyOf: (model) => model === "reorder" ? policy : undefined,
  });
  for (let number = 0; number < 1_100; number++) log.append(oneRow(number, { model: `made_up_${number}` }));
  calls(2, 1_100).forEach(log.append);
  await log.stop();
  assertEquals([...log.countsByModel()], [
    ["none", { made: 1_000, waiting: 0, dropped: 0 }],
    ["reorder", { made: 2, waiting: 0, dropped: 0 }],
  ]);
  const models = (await storedPredictions(bus)).map(({ data }) => data.model);
  assertEquals(models.filter((model) => model === "reorder").length, 2);
  assertEquals(models.length, 1_002);
});

Deno.test("the prediction log loses of a record that is too large for the server that one only, and counts it", async () => {
  await using bus = await startTestBus();
  const log = startLog(bus);
  const error = "x".repeat(bus.nc.info!.max_payload);
  calls(2).forEach(log.append);
  log.append(oneRow(2, { failure: { code: "invalid", error } }));
  calls(2, 3).forEach(log.append);
  await log.stop();
  assertEquals((await storedPredictions(bus)).map(({ data }) => data.sequence), [0, 1, 3, 4]);
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
    calls(10).forEach(log.append);
    assertEquals(log.counts(), { made: 10, waiting: 4, dropped: 6 });
    await bus.server.restart();
    await eventually(() => assertEquals(log.counts().waiting, 0), { timeoutMs: 20_000 });
    await log.stop();
    assertEquals((await storedPredictions(bus)).map(({ data }) => data.sequence).sort((a, b) => a - b), kept);
  });
}

Deno.test("the prediction log says how far it is while nobody asks anything, until it closes", async () => {
  await using bus = await startTestBus();
  const predictionLog = startLog(bus, {}, { tellEveryMs: 10 });
  await predictionLog.start();
  calls(3).forEach(predictionLog.append);
  const told = async () =>
    (await storedMessages(bus, STREAM.predictions.name)).filter((message) => message.string() === "[]")
      .map(({ header }) => [header.get(LOG_HEADER.head), header.get(LOG_HEADER.closed)]);
  await eventually(async () => assert((await told()).length >= 3));
  await predictionLog.stop();
  const all = await told();
  assertEquals(all.at(-1), ["3", "true"]);
  assert(all.slice(0, -1).every(([head, closed]) => head === "3" && closed === ""));
  assertEquals((await storedPredictions(bus)).length, 3);
});

Deno.test("the prediction log tells of records that were lost last of a model, of which nothing else would", async () => {
  await using bus = await startTestBus();
  const predictionLog = startLog(bus, {}, { tellEveryMs: 10 });
  await predictionLog.start();
  const error = "x".repeat(bus.nc.info!.max_payload);
  predictionLog.append(oneRow(0));
  predictionLog.append(oneRow(1, { model: "other", failure: { code: "invalid", error } }));
  const told = async () =>
    (await storedMessages(bus, STREAM.predictions.name))
      .filter(({ subject }) => subject === "predictions.other")
      .map(({ header }) => [header.get(LOG_HEADER.head), header.get(LOG_HEADER.closed)]);
  await eventually(async () => assertEquals(await told(), [["1", ""]]));
  await predictionLog.stop();
  // Once: it is known then.
  assertEquals(await told(), [["1", ""], ["1", "true"]]);
});

Deno.test("the prediction log refuses calls when it is full, where that is declared", async () => {
  await using bus = await startTestBus();
  const log = startLog(bus, { buffer: 4, whenFull: "refuse" });
  await bus.server.kill();
  log.append(manyRows(3));
  log.checkRoom("reorder", 1);
  const refused = assertThrows(() => log.checkRoom("reorder", 2), AppError);
  assertEquals([refused.code, refused.retryAfter], ["unavailable", 5]);
  log.checkRoom("another", 4);
  // A call that is larger than the bound may wait alone.
  log.checkRoom("another", 5);
  await bus.server.restart();
  await log.stop();
});

Deno.test("createLogQueue() drops no answer where calls are refused, whatever is refused or was let in before", () => {
  const queue = queueOf("test", { buffer: 4, whenFull: "refuse" });
  queue.push(manyRows(3));
  const failure = { code: "unavailable", error: "its log is full" };
  for (let number = 0; number < 5; number++) queue.push(oneRow(3 + number, { failure }));
  queue.push(oneRow(8, { shadowOf: [idOf(0)] }));
  // Of a call that was let in when there was room.
  queue.push(manyRows(3));
  assertEquals([queue.head, queue.waiting, queue.dropped], [12, 7, 5]);
  const records = takeAll(queue).map(({ data }) => [data.sequence, data.outcome]);
  assertEquals(records.toSorted(([one], [other]) => Number(one) - Number(other)), [
    ...[[0, "ok"], [1, "ok"], [2, "ok"], [3, "error"]],
    ...[[9, "ok"], [10, "ok"], [11, "ok"]],
  ]);
});

Deno.test("the prediction log samples successes by the declared share, never errors, and leaves no gap", async () => {
  await using bus = await startTestBus();
  const log = startLog(bus, { sample: 0.25 });
  const answers = manyRows(4_000);
  log.append(answers);
  log.append(manyRows(4_000, {
    arm: "candidate",
    ids: answers.ids.map((_, index) => idOf(10_000 + index)),
    shadowOf: answers.ids,
  }));
  const failure = { code: "internal", error: "broken" };
  for (let number = 0; number < 50; number++) log.append(oneRow(20_000 + number, { failure }));
  await log.stop();
  const events = await storedPredictions(bus);
  const sequences = events.map(({ data }) => data.sequence).sort((a, b) => a - b);
  assertEquals(sequences, sequences.map((_, index) => index));
  assertEquals(events.filter(({ data }) => data.outcome === "error").length, 50);
  const kept = events.filter(({ data }) => data.outcome === "ok" && data.shadowOf === null);
  assert(Math.abs(kept.length - 1_000) < 5 * Math.sqrt(4_000 * 0.25 * 0.75), `${kept.length} of 4,000`);
  // Each with what belongs to it.
  for (const { id, data: { output, features } } of kept) {
    assertEquals([id, features["orders.spend"]], [idOf(output!), output! / 4]);
  }
  // A shadow's answer stands beside the one that it belongs to.
  const pairs = events.filter(({ data }) => data.shadowOf !== null).map(({ data }) => data.shadowOf);
  assertEquals(pairs.sort(), kept.map(({ id }) => id).sort());
  assert(events.every(({ data }) => data.sample === (data.outcome === "error" ? 1 : 0.25)));
});

Deno.test("the prediction log stops while what it sent is never acknowledged", async () => {
  await using bus = await startTestBus();
  const log = startLog(bus);
  await log.start();
  await bus.server.kill();
  log.append(oneRow(0));
  let stopped = false;
  const stopping = log.stop().then(() => stopped = true);
  await eventually(() => stopped, { timeoutMs: 15_000 });
  await stopping;
});
