import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { bucketPut } from "shared/bus/bucket.ts";
import type { Bus } from "shared/bus/connection.ts";
import { serveEndpoints } from "shared/bus/endpoints.ts";
import { publishAll } from "shared/bus/publisher.ts";
import { bind } from "shared/contracts/endpoint.ts";
import { online } from "shared/contracts/feature_store.ts";
import { predict, putDeployment, servedModels } from "shared/contracts/model_serving.ts";
import { BUCKET } from "shared/contracts/streams.ts";
import { AppError } from "shared/errors.ts";
import { silentLogger } from "shared/log.ts";
import { eventually } from "shared/testing/poll.ts";
import { storedPredictions } from "shared/testing/predictions.ts";
import { startTestService, type TestService } from "shared/testing/service.ts";
import { createApp } from "./app.ts";
import { configSchema } from "./config.ts";
import { classesModelFile, classesSignature, signature, sumModelFile } from "./testing/model_file.ts";

const start = () => startTestService("model-serving", configSchema, createApp);

/** Points the alias `champion` of the model to a version, as model-training does. */
async function setChampion(bus: Bus, version: number, file: Uint8Array): Promise<void> {
  const entry = {
    model: "reorder",
    alias: "champion",
    version,
    sha256: await bus.files.put(file),
    signature,
    revision: version,
    project: "shop",
  };
  await publishAll(bus, [bucketPut(BUCKET.aliases, "reorder.champion", entry, `alias/${version}`)]);
}

async function deploy(service: TestService, body: Record<string, unknown> = {}): Promise<void> {
  await service.call(putDeployment, { project: "shop", name: "reorder", body });
}

const served = async (service: TestService) => (await service.call(servedModels, {})).models[0];

async function startServing(weights: [number, number] = [1, 10]): Promise<TestService> {
  const service = await start();
  await deploy(service);
  await setChampion(service.bus, 1, sumModelFile(weights));
  await eventually(async () => assertEquals((await served(service))?.state, "ready"));
  return service;
}

/** A stand-in feature store that gives every entity the same values. */
function startFeatureStore(bus: Bus, values: number[], asked: unknown[] = []): Promise<AsyncDisposable> {
  return serveEndpoints(bus, {
    service: "feature-store",
    version: "0.0.0",
    log: silentLogger,
    endpoints: [bind(online, (request) => {
      asked.push(request.features);
      return Promise.resolve({
        features: ["orders.count", "orders.spend"],
        version: 3,
        at: request.asOf ?? "2011-05-02T00:00:00.000Z",
        position: 42,
        snapshot: "7:7:",
        rows: request.entities.map((entity) => ({
          entity,
          values,
          statuses: ["PRESENT" as const, "PRESENT" as const],
          eventTimes: [null, null],
        })),
      });
    })],
  });
}

const row = (count: number, spend: number) => ({ "orders.count": count, "orders.spend": spend });

Deno.test("predict() answers rows by the version of the deployed alias, over NATS and over HTTP alike", async () => {
  await using service = await startServing();
  const rows = [row(1, 2), row(3, 4)];
  const reply = await service.call(predict, { model: "reorder", rows });
  assertEquals([reply.version, reply.arm, reply.predictions.map(({ output }) => output)], [1, "champion", [
    21,
    43,
  ]]);

  const response = await fetch(`${service.url}/v1/models/reorder/predict`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ rows }),
  });
  const { predictions } = await response.json();
  assertEquals(predictions.map(({ output }: { output: number }) => output), [21, 43]);
});

Deno.test("predict() looks up the features of entities in the version that the model was trained on", async () => {
  await using service = await startServing();
  const asked: unknown[] = [];
  await using _features = await startFeatureStore(service.bus, [5, 6], asked);
  const reply = await service.call(predict, { model: "reorder", entities: [{ customer_id: "17850" }] });
  assertEquals(reply.at, "2011-05-02T00:00:00.000Z");
  assertEquals(reply.predictions[0]?.output, 65);
  assertEquals(reply.predictions[0]?.statuses, { "orders.count": "PRESENT", "orders.spend": "PRESENT" });
  assertEquals(asked, [{ service: "reorder", version: 3 }]);
});

Deno.test("predict() logs every outcome with its features, errors included, in an unbroken sequence", async () => {
  await using service = await startServing();
  const { predictions } = await service.call(predict, { model: "reorder", rows: [row(1, 2)] });
  await assertRejects(
    () => service.call(predict, { model: "reorder", rows: [{ "orders.count": 1 }] }),
    AppError,
  );
  await service.call(predict, { model: "reorder", rows: [row(3, 4)] });

  const log = () => storedPredictions(service.bus);
  await eventually(async () => assertEquals((await log()).length, 3));
  const events = await log();
  const records = events.map(({ data }) => data);
  assertEquals(records.map(({ outcome, output }) => ({ outcome, output })), [
    { outcome: "ok", output: 21 },
    { outcome: "error", output: null },
    { outcome: "ok", output: 43 },
  ]);
  assertEquals(records.map(({ sequence }) => sequence), [0, 1, 2]);
  assertEquals(events[0]?.id, predictions[0]?.id);
  assertEquals(records[0]?.features, row(1, 2));
  assertStringIncludes(records[1]?.error ?? "", "orders.spend");
});

Deno.test("predict() refuses an answer that is no number by the rows that have none, and logs that", async () => {
  await using service = await startServing();
  const rows = [row(1, 2), row(0, 3e38), row(3, 4)];
  const error = await assertRejects(
    () => service.call(predict, { model: "reorder", rows }),
    AppError,
    "version 1: what it answers is NaN or infinite for 1 rows (counted from 0: 1)",
  );
  assertEquals((error as AppError).code, "unprocessable");
  await eventually(async () => {
    const records = (await storedPredictions(service.bus)).map(({ data }) => data);
    assertEquals(
      records.map(({ outcome, output }) => [outcome, output] as const),
      rows.map(() => ["error", null] as const),
    );
    assertEquals(records[1]?.features, row(0, 3e38));
  });
});

Deno.test("an alias that moves is served without a restart, and no request fails or is mixed up meanwhile", async () => {
  await using service = await startServing([1, 0]);
  let stopped = false;
  const answers: { version: number; output: number }[] = [];
  const load = (async () => {
    while (!stopped) {
      const replies = await Promise.all(
        Array.from(
          { length: 8 },
          (_, index) =>
            service.call(predict, { model: "reorder", rows: [row(index + 1, 0)] })
              .then(({ version, predictions }) => ({
                version,
                output: predictions[0]!.output / (index + 1),
              })),
        ),
      );
      answers.push(...replies);
    }
  })();
  for (const version of [2, 3, 4]) {
    await setChampion(service.bus, version, sumModelFile([version, 0]));
    await eventually(async () => assertEquals((await served(service))?.version, version));
  }
  await eventually(() => assertEquals(answers.at(-1)?.version, 4));
  stopped = true;
  await load;
  // Each version's weight is its number: an answer that came from another version than it says would show.
  assert(answers.every(({ version, output }) => version === output));
  assertEquals(new Set(answers.map(({ version }) => version)).has(4), true);
});

Deno.test("a version that can't be admitted leaves the one before in place, and says why", async () => {
  await using service = await startServing();
  await setChampion(service.bus, 2, new TextEncoder().encode("no model"));
  await eventually(async () => assertEquals((await served(service))?.state, "failed"));
  const reply = await service.call(predict, { model: "reorder", rows: [row(1, 2)] });
  assertEquals(reply.version, 1);
  await eventually(async () => {
    const admissions = await service.db`select version, admitted from admissions order by version`;
    assertEquals(admissions.map(({ version, admitted }) => ({ version, admitted })), [
      { version: 1, admitted: true },
      { version: 2, admitted: false },
    ]);
  });
});

Deno.test("predict() lists every mistake in the rows with its path", async () => {
  await using service = await startServing();
  const rows = [{ "orders.count": 1, "orders.spend": 1e39 }, { "orders.count": null, "orders.spned": 1 }];
  const error = await assertRejects(() => service.call(predict, { model: "reorder", rows }), AppError);
  assertEquals(error.reasons.map(({ path }) => path), [
    "/rows/0/orders.spend",
    "/rows/1/orders.count",
    "/rows/1/orders.spned",
    "/rows/1/orders.spend",
  ]);
});

Deno.test("predict() refuses columns that are none, and fields that it does not know", async () => {
  await using service = await startServing();
  const pathsOf = async (request: Record<string, unknown>) => {
    const error = await assertRejects(
      () => service.call(predict, { model: "reorder", ...request }),
      AppError,
    );
    return [error.code, ...error.reasons.map(({ path }) => path)];
  };
  assertEquals(await pathsOf({ columns: {} }), ["invalid", "/columns"]);
  assertEquals(await pathsOf({ columns: { "orders.count": [], "orders.spend": [] } }), [
    "invalid",
    "/columns/orders.count",
    "/columns/orders.spend",
  ]);
  assertEquals(await pathsOf({ rows: [row(1, 1)], as_of: "2011-05-02T00:00:00.000Z" }), [
    "invalid",
    "/as_of",
  ]);
});

Deno.test("predict() refuses by default when the features do not come, and goes on where that is declared", async () => {
  await using service = await startServing();
  const ask = () => service.call(predict, { model: "reorder", entities: [{ customer_id: "1" }] });
  const refused = await assertRejects(ask, AppError);
  assertEquals(refused.code, "unavailable");

  const defaults = { "orders.count": 3, "orders.spend": 4 };
  await deploy(service, { features: { deadline: "PT0.2S", fallback: "defaults", defaults } });
  await eventually(async () => {
    const [prediction] = (await ask()).predictions;
    assertEquals([prediction!.featuresFrom, prediction!.output], ["defaults", 43]);
  });
});

Deno.test("predict() is unavailable, through no fault of its caller, where defaults do not fit the version in force", async () => {
  await using service = await start();
  // Before there is a version that could tell which features must not be missing.
  await deploy(service, {
    features: { deadline: "PT0.2S", fallback: "defaults", defaults: { "orders.count": 3 } },
  });
  await setChampion(service.bus, 1, sumModelFile([1, 10]));
  const ask = (features?: Record<string, number>) =>
    service.call(predict, {
      model: "reorder",
      entities: [{ customer_id: "1" }],
      ...(features === undefined ? {} : { features: [features] }),
    });
  // A value that the call gives needs no default.
  await eventually(async () => assertEquals((await ask({ "orders.spend": 2 })).predictions[0]!.output, 23));
  const unavailable = await assertRejects(ask, AppError) as AppError;
  assertEquals([unavailable.code, unavailable.reasons], ["unavailable", [{
    path: "/entities/0",
    message: "has a feature orders.spend (DEFAULT) that is missing",
  }]]);
  assertStringIncludes(unavailable.message, "the deployment's defaults can't stand for them");
  // His own mistake stays his.
  const mistaken = await assertRejects(() => ask({ "orders.count": 1e300 }), AppError) as AppError;
  assertEquals(mistaken.code, "invalid");
});

Deno.test("predict() says which models are deployed when asked for another, and what is awaited without a version", async () => {
  await using service = await start();
  await deploy(service);
  const unknown = await assertRejects(
    () => service.call(predict, { model: "other", rows: [row(1, 1)] }),
    AppError,
  );
  assertEquals(unknown.code, "not_found");
  assertStringIncludes(unknown.message, "reorder");
  const waiting = await assertRejects(
    () => service.call(predict, { model: "reorder", rows: [row(1, 1)] }),
    AppError,
  );
  assertEquals(waiting.code, "unavailable");
  assertStringIncludes(waiting.message, "champion");
});

Deno.test("predict() refuses to explain a model that is neither made of trees nor linear, and logs that", async () => {
  await using service = await startServing();
  const error = await assertRejects(
    () => service.call(predict, { model: "reorder", rows: [row(1, 2)], explain: true }),
    AppError,
  );
  assertEquals(error.code, "unprocessable");
  await eventually(async () => {
    const [event] = await storedPredictions(service.bus);
    assertEquals([event?.data.outcome, event?.data.code], ["error", "unprocessable"]);
  });
});

Deno.test("predict() logs calls that can't be read, and those for models that are not there", async () => {
  await using service = await startServing();
  const post = async (model: string, body: string) => {
    const response = await fetch(`${service.url}/v1/models/${model}/predict`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body,
    });
    await response.body?.cancel();
    return response.status;
  };
  assertEquals(await post("reorder", "{"), 400);
  assertEquals(await post("reorder", '{"rows": 3}'), 400);
  assertEquals(await post("unknown", '{"rows": [{}]}'), 404);
  assertEquals(await post("No name", '{"rows": [{}]}'), 400);
  await assertRejects(() => service.call(predict, { model: "reorder" }), AppError);
  await eventually(async () => {
    const events = await storedPredictions(service.bus);
    assertEquals(
      events.map(({ source, data }) => [source, data.version, data.code]).sort(),
      [["reorder", null, "invalid"], ["reorder", null, "invalid"], ["reorder", null, "invalid"], [
        "unknown",
        null,
        "not_found",
      ]],
    );
  });
});

Deno.test("predict() logs of a model of several classes how likely each was, errors aside", async () => {
  await using service = await start();
  await deploy(service);
  const entry = {
    model: "reorder",
    alias: "champion",
    version: 1,
    sha256: await service.bus.files.put(classesModelFile()),
    signature: classesSignature,
    revision: 1,
    project: "shop",
  };
  await publishAll(service.bus, [bucketPut(BUCKET.aliases, "reorder.champion", entry, "alias/1")]);
  await eventually(async () => assertEquals((await served(service))?.state, "ready"));
  const { predictions } = await service.call(predict, { model: "reorder", rows: [row(1, 2), row(3, 0)] });
  assertEquals(predictions.map((one) => one.class), ["high", "middle"]);
  await assertRejects(() => service.call(predict, { model: "reorder", rows: [{}] }), AppError);
  await eventually(async () => {
    const events = await storedPredictions(service.bus);
    assertEquals(events.map(({ data }) => data.output), [2, 1, null]);
    assertEquals(events.map(({ data }) => data.probabilities), [
      predictions[0]!.probabilities!,
      predictions[1]!.probabilities!,
      null,
    ]);
  });
});
