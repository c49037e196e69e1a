/**
 * `predict-features`: a prediction for an entity whose 20 features are looked up in the feature store, beside the least
 * that a lookup over the bus costs: a NATS request answered from a PostgreSQL primary key, behind Hono.
 *
 * @module
 */
import { join } from "node:path";
import { encodeBatches } from "shared/bus/batch.ts";
import { call } from "shared/bus/endpoints.ts";
import { publishAll } from "shared/bus/publisher.ts";
import { type DataRecord, EVENT_TYPE, type PlatformEvent } from "shared/contracts/envelope.ts";
import { counts, online, putEntity, putFeatureService, putView } from "shared/contracts/feature_store.ts";
import { subject } from "shared/contracts/streams.ts";
import { toInstant } from "shared/contracts/time.ts";
import { delay } from "shared/delay.ts";
import { type Bench, type BenchOptions, type BenchResult, inTurn } from "./harness.ts";
import { FEATURES, forestFile, NAMES } from "./serving/forest.ts";
import { startProgram } from "./serving/program.ts";
import { startServingStack } from "./serving/serving_stack.ts";
import { hasWrk, type Load, runLoad } from "./serving/wrk.ts";

export const predictFeatures: Bench = {
  name: "predict-features",
  summary: "one row whose features are looked up, beside a bare NATS request to a primary key (needs wrk)",
  run,
};

const SECONDS = 5;
const CONNECTIONS = 32;
const MODEL = "forest";
const PROJECT = "bench";
const ENTITIES = 1_000;
const RECORDS_EACH = 20;
const DAY_MS = 86_400_000;
const HERE = new URL(".", import.meta.url).pathname;

const key = (entity: number) => `thing-${entity}`;

async function run({ rounds, scale, say }: BenchOptions): Promise<BenchResult> {
  if (!await hasWrk()) return { ratios: {}, figures: {}, notes: ["wrk is not there: nothing was measured"] };
  await using started = new AsyncDisposableStack();
  const serving = started.use(await startServingStack({ say, services: ["model-serving", "feature-store"] }));
  const { bench: { bus, stack, folder, database } } = serving;
  await defineFeatures();
  say(`publishing ${RECORDS_EACH} records of ${ENTITIES} entities`);
  await publishRecords();
  await serving.serve(MODEL, 1, forestFile(1));

  const db = database("model-serving");
  await db`create table bench_rows (key text primary key, j json not null)`;
  for (let entity = 0; entity < ENTITIES; entity++) {
    const values = Object.fromEntries(NAMES.map((name, at) => [name, entity + at / 7]));
    await db`insert into bench_rows values (${key(entity)}, ${JSON.stringify(values)}::text::json)`;
  }
  const env = () => ({ NATS_URL: stack.natsUrl, DATABASE_URL: stack.databaseUrl("model-serving") });
  const program = (file: string) =>
    startProgram({
      command: Deno.execPath(),
      args: (port) => ["run", "-A", join(HERE, "serving", file), String(port)],
      ready: "/ready",
      env,
    });
  started.use(await program("bare_responder.ts"));
  const bare = started.use(await program("bare_gateway.ts"));

  const seconds = Math.max(1, Math.round(SECONDS * scale));
  const load = async (target: Pick<Load, "url" | "bodies">) => {
    const { perSecond, p50Us, p99Us, failed } = await runLoad(
      { ...target, connections: CONNECTIONS, seconds },
      folder,
    );
    if (failed > 0) throw new Error(`${failed} answers of ${target.url} failed`);
    return { per_second: perSecond, p50_us: p50Us, p99_us: p99Us };
  };
  const keys = Array.from({ length: ENTITIES }, (_, entity) => key(entity));
  const results = await inTurn({
    ours: () =>
      load({
        url: `${serving.url}/v1/models/${MODEL}/predict`,
        bodies: keys.map((id) => JSON.stringify({ entities: [{ id }] })),
      }),
    bare: () =>
      load({
        url: `http://127.0.0.1:${bare.port}/read`,
        bodies: keys.map((id) => JSON.stringify({ key: id })),
      }),
  }, { rounds, say });
  const { ours, bare: bareLoad } = results;
  return {
    ratios: { bare_nats_read: ours!["per_second"]! / bareLoad!["per_second"]! },
    figures: {
      ours_per_second: ours!["per_second"]!,
      bare_per_second: bareLoad!["per_second"]!,
      ours_p50_us: ours!["p50_us"]!,
      ours_p99_us: ours!["p99_us"]!,
      bare_p50_us: bareLoad!["p50_us"]!,
      bare_p99_us: bareLoad!["p99_us"]!,
    },
    notes: [
      `${CONNECTIONS} connections of wrk for ${seconds} s over ${ENTITIES} entities in turn, ${FEATURES} features of ` +
      `${RECORDS_EACH} records each`,
      "ours: feature lookup, validation, 100 trees of depth 6, logged to JetStream; bare: a Hono route that asks a " +
      "process over NATS, which answers from a primary key, without a model or a log",
      ...await serving.bench.describe(),
    ],
  };

  async function defineFeatures(): Promise<void> {
    const put = { project: PROJECT };
    await call(bus, putEntity, { ...put, name: "thing", body: { keys: { id: "string" } } });
    const windows = ["P1D", "P7D", "P14D", "P30D", "P60D"];
    const kinds = ["count", "sum", "max", "mean"] as const;
    // Sums of little; the trees are asked whatever comes out.
    const features = Object.fromEntries(NAMES.map((name, at) => {
      const aggregate = kinds[at % kinds.length]!;
      const window = windows[Math.floor(at / kinds.length)]!;
      return [
        name.split(".")[1]!,
        aggregate === "count" ? { aggregate, window } : { aggregate, field: "amount", window },
      ];
    }));
    await call(bus, putView, {
      ...put,
      name: "bench",
      body: { entity: "thing", source: "things", features },
    });
    await call(bus, putFeatureService, { ...put, name: "bench", body: { features: NAMES } });
  }

  async function publishRecords(): Promise<void> {
    const now = Date.now();
    const events: PlatformEvent<DataRecord>[] = [];
    for (let entity = 0; entity < ENTITIES; entity++) {
      for (let record = 0; record < RECORDS_EACH; record++) {
        // The newest within the last hour, so that no window is empty.
        const time = toInstant(now - 60_000 - record * 2.5 * DAY_MS);
        events.push({
          specversion: "1.0",
          id: `${entity}/${record}`,
          source: "things",
          type: EVENT_TYPE.clean,
          time,
          knownat: time,
          definition: 0,
          data: { id: key(entity), amount: (entity % 97) / 100 + record },
        });
      }
    }
    await publishAll(bus, encodeBatches(events, { subject: subject.clean("things") }));
    while (true) {
      const { sources } = await call(bus, counts, {});
      if ((sources[0]?.records ?? 0) >= events.length) break;
      await delay(100);
    }
    const { rows } = await call(bus, online, { features: { service: "bench" }, entities: [{ id: key(7) }] });
    const absent = rows[0]!.statuses.filter((status) => status !== "PRESENT").length;
    if (absent > 0) throw new Error(`${absent} features are not there: ${JSON.stringify(rows[0])}`);
  }
}
