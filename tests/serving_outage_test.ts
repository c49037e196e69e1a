/**
 * Predictions go on while NATS, the feature store or PostgreSQL is away, and when a copy is killed; and whoever reads the
 * prediction log can count what of it is missing.
 *
 * The time for which servers are away is short by default; `MICROML_AWAY_SECONDS=30` makes it long.
 *
 * @module
 */
import { assert, assertEquals } from "@std/assert";
import { encodeBatches } from "shared/bus/batch.ts";
import { bucketPut } from "shared/bus/bucket.ts";
import { call } from "shared/bus/endpoints.ts";
import { publishAll } from "shared/bus/publisher.ts";
import type { ReplyOf } from "shared/contracts/endpoint.ts";
import { EVENT_TYPE } from "shared/contracts/envelope.ts";
import { counts, putEntity, putFeatureService, putView } from "shared/contracts/feature_store.ts";
import { logGaps, predictionCounts } from "shared/contracts/model_monitoring.ts";
import { type predict, putDeployment } from "shared/contracts/model_serving.ts";
import { BUCKET, subject } from "shared/contracts/streams.ts";
import { connectDatabase } from "shared/db/connection.ts";
import { silentLogger } from "shared/log.ts";
import { eventually } from "shared/testing/poll.ts";
import { startTestService } from "shared/testing/service.ts";
import { createApp } from "../services/model-serving/app.ts";
import { configSchema } from "../services/model-serving/config.ts";
import { signature, sumModelFile } from "../services/model-serving/testing/model_file.ts";
import { type JourneyStack, startJourneyStack } from "./journey_stack.ts";

const AWAY_MS = Number(Deno.env.get("MICROML_AWAY_SECONDS") || 2) * 1_000;
const MODEL = "reorder";
/** So few that an outage fills it. */
const BUFFER = 100;
const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

type Answer = ReplyOf<typeof predict>;

const ROWS = { rows: [{ "orders.count": 3, "orders.spend": 4 }] };
const ENTITY = { entities: [{ customer_id: "17850" }] };

/** Asks over and over, both with rows and with an entity, until it is stopped. */
function startLoad(urls: readonly string[]) {
  const load = { answers: [] as Answer[], failures: [] as string[], unreachable: 0, stopped: false };
  const ask = async (url: string, body: unknown) => {
    let response: Response;
    try {
      response = await fetch(`${url}/v1/models/${MODEL}/predict`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify(body),
      });
    } catch {
      load.unreachable++;
      await pause(20);
      return;
    }
    const text = await response.text();
    if (response.ok) load.answers.push(JSON.parse(text));
    else load.failures.push(`${response.status} ${text}`);
    // Many more than the log's buffer in any outage, and few enough for the machine.
    await pause(2);
  };
  const running = urls.flatMap((url) =>
    [ROWS, ROWS, ROWS, ENTITY].map(async (body) => {
      while (!load.stopped) await ask(url, body);
    })
  );
  return Object.assign(load, {
    async stop() {
      load.stopped = true;
      await Promise.all(running);
    },
  });
}

async function serveModel({ stack, bus }: JourneyStack): Promise<void> {
  const put = { project: "shop" };
  await call(bus, putEntity, { ...put, name: "customer", body: { keys: { customer_id: "string" } } });
  const features = {
    count: { aggregate: "count" as const, window: null },
    spend: { aggregate: "sum" as const, field: "amount", window: null },
  };
  await call(bus, putView, {
    ...put,
    name: "orders",
    body: { entity: "customer", source: "sales", features },
  });
  // The model was trained on the third version of its features.
  for (const list of [["orders.count"], ["orders.spend"], ["orders.count", "orders.spend"]]) {
    await call(bus, putFeatureService, { ...put, name: MODEL, body: { features: list } });
  }
  const time = "2026-01-01T00:00:00.000Z";
  const event = {
    specversion: "1.0" as const,
    id: "1",
    source: "sales",
    type: EVENT_TYPE.clean,
    time,
    knownat: time,
    definition: 0,
    data: { customer_id: "17850", amount: 40 },
  };
  await publishAll(bus, encodeBatches([event], { subject: subject.clean("sales") }));
  await eventually(async () => assertEquals((await call(bus, counts, {})).sources[0]?.records, 1));

  const body = {
    features: { deadline: "PT0.5S", fallback: "last_known" as const },
    log: { buffer: BUFFER },
  };
  await call(bus, putDeployment, { ...put, name: MODEL, body });
  const sha256 = await bus.files.put(sumModelFile([1, 1]));
  const entry = {
    model: MODEL,
    alias: "champion",
    version: 1,
    sha256,
    signature,
    revision: 1,
    project: "shop",
  };
  await publishAll(bus, [bucketPut(BUCKET.aliases, `${MODEL}.champion`, entry, "alias/1")]);
  await answersOf(stack.services.get("model-serving")!.url);
}

/** Waits until a copy answers for the entity with its own features. */
async function answersOf(url: string): Promise<void> {
  await eventually(async () => {
    const response = await fetch(`${url}/v1/models/${MODEL}/predict`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(ENTITY),
    });
    const text = await response.text();
    assertEquals(response.status, 200, text);
    assertEquals([JSON.parse(text).predictions[0].output, JSON.parse(text).predictions[0].featuresFrom], [
      41,
      "store",
    ]);
  }, { timeoutMs: 30_000 });
}

const fromOf = (answers: readonly Answer[]) =>
  new Set(answers.map(({ predictions }) => predictions[0]!.featuresFrom));

Deno.test("predictions go on whatever is away, and the gap in their log is counted by its reader", async (t) => {
  await using journey = await startJourneyStack({
    services: ["feature-store", "model-serving", "model-monitoring"],
  });
  const { stack, bus } = journey;
  await serveModel(journey);
  const { url } = stack.services.get("model-serving")!;

  /** Puts load on it while something is away; every call must be answered right. */
  async function during(away: () => Promise<void>, back: () => Promise<void>): Promise<Answer[]> {
    const load = startLoad([url]);
    await eventually(() => assert(load.answers.length > 20));
    await away();
    await pause(AWAY_MS);
    await back();
    await load.stop();
    assertEquals([load.failures, load.unreachable], [[], 0]);
    assert(load.answers.every(({ predictions }) => [7, 41].includes(predictions[0]!.output)));
    return load.answers;
  }
  const made = async () => {
    const text = await (await fetch(`${url}/metrics`)).text();
    const of = (state: string) =>
      Number(
        new RegExp(`prediction_log_entries\\{model="${MODEL}",state="${state}"\\} (\\d+)`).exec(text)?.[1] ??
          NaN,
      );
    return { made: of("made"), waiting: of("waiting"), dropped: of("dropped") };
  };
  const boots = async () => (await call(bus, logGaps, { model: MODEL })).boots;

  await t.step("PostgreSQL away", async () => {
    const answers = await during(() => stack.infra.postgres.kill(), () => stack.infra.postgres.restart());
    // The feature store can't read: what was last read of the entity stands for it.
    assertEquals(fromOf(answers), new Set([undefined, "store", "last_known"]));
    await answersOf(url);
  });

  await t.step("the feature store away", async () => {
    const answers = await during(() => stack.kill("feature-store"), () => stack.restart("feature-store"));
    assertEquals(fromOf(answers), new Set([undefined, "store", "last_known"]));
  });

  await t.step("NATS away: what the log can't hold is dropped, and counted by who reads it", async () => {
    const { dropped: before } = await made();
    const answers = await during(() => stack.infra.nats.kill(), () => stack.infra.nats.restart());
    assertEquals(fromOf(answers), new Set([undefined, "store", "last_known"]));
    let dropped = 0;
    await eventually(async () => {
      const now = await made();
      assertEquals(now.waiting, 0);
      dropped = now.dropped;
    }, { timeoutMs: 30_000 });
    assert(dropped > before, "nothing was dropped: the outage was too short");
    await eventually(async () => {
      const [boot] = await boots();
      assertEquals([boot!.missing, boot!.received], [dropped, (await made()).made - dropped]);
    }, { timeoutMs: 30_000 });
    const { models } = await call(bus, predictionCounts, {});
    assertEquals(models.find(({ model }) => model === MODEL)?.missing, dropped);
  });

  await t.step("a copy killed: the other goes on, and the log says which one never closed", async () => {
    await answersOf(url);
    await using other = await startTestService("model-serving", configSchema, createApp, {
      bus,
      databaseUrl: stack.databaseUrl("model-serving"),
      env: { INSTANCE: "the-other" },
    });
    await answersOf(other.url);
    const load = startLoad([other.url]);
    const doomed = startLoad([url]);
    await eventually(() => assert(Math.min(load.answers.length, doomed.answers.length) > 100));
    await stack.kill("model-serving");
    await doomed.stop();
    await eventually(() => assert(load.answers.length > 300));
    await load.stop();
    assertEquals([load.failures, load.unreachable], [[], 0]);
    await other.stop();
    await stack.restart("model-serving");
    await answersOf(url);
    await eventually(async () => {
      const all = await boots();
      assertEquals(
        all.filter(({ instance }) => instance === "the-other").map(({ state, missing, outstanding }) => [
          state,
          missing,
          outstanding,
        ]),
        [["closed", 0, 0]],
      );
      // Its next boot says that the one before has ended, newest first.
      assertEquals(all.filter(({ instance }) => instance !== "the-other").map(({ state }) => state), [
        "open",
        "ended_without_closing",
      ]);
    }, { timeoutMs: 30_000 });
    // What is lost unseen is what it answered within its last flush.
    const ids = doomed.answers.map(({ predictions }) => predictions[0]!.id);
    const db = connectDatabase({ url: stack.databaseUrl("model-monitoring"), log: silentLogger, max: 1 });
    const [row] = await db`select count(*)::int as logged from predictions where id = any(${ids})`;
    await db.end();
    const unseen = ids.length - row!["logged"];
    assert(
      unseen >= 0 && unseen < 100,
      `${unseen} of ${ids.length} answers of the killed copy are not in the log`,
    );
  });
});
