import { assertAlmostEquals, assertEquals, assertStringIncludes } from "@std/assert";
import { encodeBatches } from "shared/bus/batch.ts";
import type { Bus } from "shared/bus/connection.ts";
import { publishAll } from "shared/bus/publisher.ts";
import { EVENT_TYPE, type PlatformEvent } from "shared/contracts/envelope.ts";
import {
  drift,
  logGaps,
  type MonitorBody,
  predictionCounts,
  putMonitor,
  shadowDifferences,
} from "shared/contracts/model_monitoring.ts";
import type { Signal } from "shared/contracts/signal.ts";
import { LOG_HEADER, type PredictionRecord } from "shared/contracts/model_serving.ts";
import type { ModelRegistered } from "shared/contracts/model_training.ts";
import { STREAM, subject } from "shared/contracts/streams.ts";
import { toInstant } from "shared/contracts/time.ts";
import { transaction } from "shared/db/connection.ts";
import { crashPointSuite } from "shared/testing/crash_points.ts";
import { createTestDatabase } from "shared/testing/database.ts";
import { eventually } from "shared/testing/poll.ts";
import { predictionMessages } from "shared/testing/predictions.ts";
import { startTestService } from "shared/testing/service.ts";
import { storedEvents } from "shared/testing/streams.ts";
import { createApp } from "./app.ts";
import { configSchema } from "./config.ts";
import { countSequences } from "./repository.ts";

const start = (options: { bus?: Bus; databaseUrl?: string } = {}) =>
  startTestService("model-monitoring", configSchema, createApp, options);

const monitor = (body: Partial<MonitorBody> = {}) => ({
  project: "shop",
  name: "reorder-drift",
  body: { kind: "drift" as const, model: "reorder", statistic: "psi" as const, minRows: 20, ...body },
});

const registered: ModelRegistered = {
  model: "reorder",
  project: "shop",
  version: 1,
  sha256: "0".repeat(64),
  signature: {
    task: "binary",
    entity: "customer",
    featureService: { name: "reorder", version: 1 },
    inputs: [{ name: "orders.spend", type: "number", nulls: "as_trained" }],
    output: "probability",
    classes: ["0", "1"],
  },
  referenceBins: [
    { name: "orders.spend", edges: [10, 20], counts: [40, 40, 20], missing: 0 },
    { name: "output", edges: [0.5], counts: [50, 50], missing: 0 },
  ],
};

function envelope<Data>(id: string, type: string, time: string, data: Data): PlatformEvent<Data> {
  return { specversion: "1.0", id, source: "reorder", type, time, knownat: time, definition: 1, data };
}

function publishModel(bus: Bus): Promise<void> {
  const event = envelope("reorder/1", EVENT_TYPE.model, "2026-01-01T00:00:00.000Z", registered);
  return publishAll(bus, encodeBatches([event], { subject: subject.model("registered", "reorder") }));
}

let sequence = 0;

/** A prediction for the week of 2011-05-02, half of them above 0.5. */
function prediction(
  spend: number | null,
  changes: Partial<PredictionRecord> = {},
): PlatformEvent<PredictionRecord> {
  const number = sequence++;
  return envelope(`prediction-${number}`, EVENT_TYPE.prediction, "2011-05-03T00:00:00.000Z", {
    project: "shop",
    model: "reorder",
    version: 1,
    arm: "champion",
    assigned: null,
    rerouted: null,
    shadowOf: null,
    outcome: "ok",
    code: null,
    error: null,
    probabilities: null,
    request: null,
    statuses: {},
    marks: {},
    featuresFrom: "store",
    sample: 1,
    output: number % 2 === 0 ? 0.2 : 0.8,
    entity: { customer_id: "17850" },
    features: { "orders.spend": spend },
    featureService: { name: "reorder", version: 1 },
    position: 1,
    snapshot: "7:7:",
    latencyMs: 1.5,
    servedAt: "2026-01-02T23:59:59.999Z",
    instance: "a",
    boot: "boot",
    sequence: number,
    ...changes,
  });
}

function publishPredictions(bus: Bus, events: PlatformEvent<PredictionRecord>[]): Promise<void> {
  return publishAll(bus, predictionMessages(events));
}

const asTrained = [5, 5, 15, 15, 25, 5, 5, 15, 15, 25, 5, 5, 15, 15, 25, 5, 5, 15, 15, 25];

Deno.test("model-monitoring signals drift when served features leave the training reference", async () => {
  await using service = await start();
  await service.call(putMonitor, monitor());
  await publishModel(service.bus);
  const signals = async () =>
    (await storedEvents<Signal>(service.bus, STREAM.signals)).map(({ data }) => data);
  const statuses = async () => (await signals()).map(({ status }) => status);

  await publishPredictions(service.bus, asTrained.map((spend) => prediction(spend)));
  await eventually(async () => assertEquals(await statuses(), ["ok"]));

  await publishPredictions(service.bus, Array.from({ length: 60 }, () => prediction(500)));
  await eventually(async () => assertEquals(await statuses(), ["ok", "breach"]));
  assertStringIncludes((await signals())[1]!.summary, "most of all orders.spend");

  const { windows } = await service.call(drift, { model: "reorder" });
  assertEquals(windows.length, 1);
  assertEquals([windows[0]!.rows, windows[0]!.status, windows[0]!.from], [
    80,
    "breach",
    "2011-05-02T00:00:00.000Z",
  ]);
});

Deno.test("model-monitoring judges nothing before a window has enough rows", async () => {
  await using service = await start();
  await service.call(putMonitor, monitor());
  await publishModel(service.bus);
  await publishPredictions(service.bus, Array.from({ length: 19 }, () => prediction(500)));
  await eventually(async () => {
    const { windows } = await service.call(drift, {});
    assertEquals(windows.map(({ rows, status }) => ({ rows, status })), [{
      rows: 19,
      status: "too_few_rows",
    }]);
  });
});

Deno.test("model-monitoring counts what was served before it knew the reference", async () => {
  await using service = await start();
  await service.call(putMonitor, monitor());
  await publishPredictions(service.bus, asTrained.map((spend) => prediction(spend)));
  await eventually(async () =>
    assertEquals((await service.call(predictionCounts, {})).models[0]?.predictions, 20)
  );
  await publishModel(service.bus);
  await eventually(async () => {
    const { windows } = await service.call(drift, {});
    assertEquals(windows.map(({ rows, status }) => ({ rows, status })), [{ rows: 20, status: "ok" }]);
  });
});

Deno.test("model-monitoring counts into new windows when a monitor's length of window changes", async () => {
  await using service = await start();
  await service.call(putMonitor, monitor());
  await publishModel(service.bus);
  const windows = async () =>
    (await service.call(drift, {})).windows.map(({ from, to, rows }) => `${from} ${to} ${rows}`).toSorted();
  const atStart = () => ({ ...prediction(5), time: "2011-05-02T00:00:00.000Z" });
  const week = "2011-05-02T00:00:00.000Z 2011-05-09T00:00:00.000Z 1";
  await publishPredictions(service.bus, [atStart()]);
  await eventually(async () => assertEquals(await windows(), [week]));

  await service.call(putMonitor, monitor({ window: "P1D" }));
  await publishPredictions(service.bus, [atStart()]);
  const day = "2011-05-02T00:00:00.000Z 2011-05-03T00:00:00.000Z 1";
  await eventually(async () => assertEquals(await windows(), [day, week]));
});

Deno.test("model-monitoring counts errors, and predictions that were sent and never came", async () => {
  await using service = await start();
  const records = [0, 1, 4].map((sequence) => prediction(5, { boot: "gap", sequence }));
  const failed = prediction(null, {
    boot: "gap",
    sequence: 5,
    outcome: "error",
    error: "no features",
    output: null,
  });
  await publishPredictions(service.bus, [...records, failed]);
  await eventually(async () => {
    const { models } = await service.call(predictionCounts, {});
    assertEquals(models, [{ model: "reorder", predictions: 4, errors: 1, missing: 2 }]);
  });
});

Deno.test("model-monitoring counts the gaps of each boot: lost before its end, told of at its end, closed or not", async () => {
  await using service = await start();
  const send = (boot: string, sequences: number[], mark: Record<string, string>) =>
    publishAll(
      service.bus,
      sequences.length === 0
        ? [{
          subject: subject.predictions("reorder"),
          data: new TextEncoder().encode("[]"),
          headers: { [LOG_HEADER.instance]: "a", [LOG_HEADER.boot]: boot, ...mark },
          messageId: `${boot}/closed`,
        }]
        : predictionMessages(sequences.map((sequence) => prediction(5, { boot, sequence })), {
          [LOG_HEADER.instance]: "a",
          [LOG_HEADER.boot]: boot,
          ...mark,
        }),
    );
  // 2 and 3 were dropped, and 6 and 7 were made and not sent when it was killed.
  await send("killed", [0, 1, 4, 5], { [LOG_HEADER.head]: "8" });
  await eventually(async () =>
    assertEquals((await service.call(logGaps, { model: "reorder" })).boots.length, 1)
  );
  // 2 was dropped, which only its last message tells.
  await send("stopped", [0, 1], { [LOG_HEADER.head]: "2" });
  await send("stopped", [], { [LOG_HEADER.head]: "3", [LOG_HEADER.closed]: "true" });

  await eventually(async () => {
    const { boots } = await service.call(logGaps, { model: "reorder" });
    assertEquals(
      boots.map(({ boot, received, missing, outstanding, state }) => [
        boot,
        received,
        missing,
        outstanding,
        state,
      ]).sort(),
      [["killed", 4, 2, 2, "ended_without_closing"], ["stopped", 2, 0, 1, "closed"]],
    );
  });
  // One of which nothing is heard has ended; one that says that it lives has not, whatever was asked of it.
  const stateOf = async (boot: string) => {
    const { boots } = await service.call(logGaps, { model: "reorder" });
    return boots.find((one) => one.boot === boot)?.state;
  };
  await send("last", [0], { [LOG_HEADER.head]: "1" });
  await eventually(async () => assertEquals(await stateOf("last"), "open"));
  await service
    .db`update prediction_boots set last_seen_at = now() - interval '91 seconds' where boot = 'last'`;
  assertEquals(await stateOf("last"), "ended_without_closing");
  await send("last", [], { [LOG_HEADER.head]: "1" });
  await eventually(async () => assertEquals(await stateOf("last"), "open"));
  const metrics = await (await fetch(`${service.url}/metrics`)).text();
  for (const [part, records] of [["received", 7], ["missing", 2], ["outstanding", 3]]) {
    assertStringIncludes(metrics, `prediction_log_records{model="reorder",part="${part}"} ${records}`);
  }
});

Deno.test("a boot has ended once another of its instance began, also when both are told of at the same time", async () => {
  await using service = await start();
  const now = Date.now();
  const mark = (boot: string, agoMs: number) => ({
    instance: "a",
    boot,
    model: "reorder",
    head: 1,
    closed: false,
    at: toInstant(now - agoMs),
  });
  // As monitoring reads them after it was away itself.
  await transaction(
    service.db,
    (tx) => countSequences(tx, [], [mark("former", 2_000), mark("latter", 500), mark("former", 1_000)]),
  );
  const { boots } = await service.call(logGaps, { model: "reorder" });
  assertEquals(boots.map(({ boot, state, lastSeenAt }) => [boot, state, lastSeenAt]), [
    ["latter", "open", toInstant(now - 500)],
    ["former", "ended_without_closing", toInstant(now - 1_000)],
  ]);
});

Deno.test("model-monitoring compares a shadow's answers with those that callers got, and counts them apart", async () => {
  await using service = await start();
  await service.call(putMonitor, monitor({ minRows: 1 }));
  await publishModel(service.bus);
  const answers = [0.1, 0.2, 0.3].map((output) => prediction(5, { output, boot: "shadows" }));
  const outputs = [0.1, 0.25, null];
  const shadows = answers.map(({ id, data }, index) => {
    const output = outputs[index]!;
    const failed = output === null ? { outcome: "error" as const, code: "internal", error: "broken" } : {};
    return prediction(5, {
      output,
      shadowOf: id,
      arm: "candidate",
      version: 2,
      servedAt: data.servedAt,
      ...failed,
    });
  });
  await publishPredictions(service.bus, [...answers, ...shadows]);
  await eventually(async () => {
    const request = { model: "reorder", since: "2026-01-01T00:00:00.000Z" };
    const { differences } = await service.call(shadowDifferences, request);
    assertEquals(differences.length, 1);
    const [row] = differences;
    assertEquals(
      [row!.shadow, row!.shadowVersion, row!.version, row!.compared, row!.different, row!.shadowErrors],
      ["candidate", 2, 1, 2, 1, 1],
    );
    assertAlmostEquals(row!.max!, 0.05);
    assertAlmostEquals(row!.meanDifference!, 0.025);
  });
  // What nobody was told is neither a prediction nor part of a window.
  const { models } = await service.call(predictionCounts, {});
  assertEquals(models.map(({ predictions, errors }) => [predictions, errors]), [[3, 0]]);
  const { windows } = await service.call(drift, {});
  assertEquals(windows.map(({ version, rows }) => [version, rows]), [[1, 3]]);
});

Deno.test("model-monitoring compares of several classes the probability that differs most, not the classes' numbers", async () => {
  await using service = await start();
  const answers = [{ a: 0.5, b: 0.3, c: 0.2 }, { a: 0.1, b: 0.1, c: 0.8 }].map((probabilities, index) =>
    prediction(5, { output: index === 0 ? 0 : 2, probabilities, boot: "classes" })
  );
  const others = [{ a: 0.3, b: 0.35, c: 0.35 }, { a: 0.1, b: 0.1, c: 0.8 }];
  const shadows = answers.map(({ id, data }, index) =>
    prediction(5, {
      output: 2,
      probabilities: others[index]!,
      shadowOf: id,
      arm: "candidate",
      version: 2,
      servedAt: data.servedAt,
      boot: "classes",
    })
  );
  await publishPredictions(service.bus, [...answers, ...shadows]);
  await eventually(async () => {
    const request = { model: "reorder", since: "2026-01-01T00:00:00.000Z" };
    const [row] = (await service.call(shadowDifferences, request)).differences;
    assertEquals([row?.compared, row?.different], [2, 1]);
    assertAlmostEquals(row!.max!, 0.2);
    assertAlmostEquals(row!.meanDifference!, -0.1);
  });
});

const suitePredictions = asTrained.map((spend) => prediction(spend, { boot: "suite" }));

crashPointSuite({
  name: "model-monitoring",
  input: { stream: STREAM.predictions, durable: "model-monitoring" },
  async setUp() {
    const database = await createTestDatabase("model-monitoring");
    return { database, [Symbol.asyncDispose]: () => database[Symbol.asyncDispose]() };
  },
  async publish(bus, world) {
    await using service = await start({ bus, databaseUrl: world.database.url });
    await service.call(putMonitor, monitor());
    await publishModel(bus);
    await eventually(async () => {
      const [row] = await world.database.db`select count(*) as known from model_references`;
      assertEquals(row?.known, 1);
    });
    await service.stop();
    await publishPredictions(bus, suitePredictions);
  },
  start: (bus, world) => start({ bus, databaseUrl: world.database.url }),
  async expectOnce(_bus, { database: { db } }) {
    const [kept] = await db`select count(*) as predictions from predictions`;
    assertEquals(kept?.predictions, suitePredictions.length);
    const windows = await db`select rows, status from drift_windows`;
    assertEquals(windows.map(({ rows, status }) => ({ rows, status })), [{ rows: 20, status: "ok" }]);
    const counts = await db`select counts from window_counts where name = 'orders.spend'`;
    assertEquals(counts[0]?.counts, [8, 8, 4, 0]);
  },
});
