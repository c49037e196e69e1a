/**
 * `online`: reading 250 features of 25 views, of one entity and of a hundred, over HTTP, beside Feast's Python feature
 * server with PostgreSQL as its online store: the same rows, the same client, the same PostgreSQL.
 *
 * @module
 */
import { join } from "node:path";
import { call } from "shared/bus/endpoints.ts";
import * as features from "shared/contracts/feature_store.ts";
import { delay } from "shared/delay.ts";
import { parseDatabaseUrl } from "shared/db/address.ts";
import { freePort } from "shared/infra/ports.ts";
import { type BenchStack, startBenchStack } from "./bench_stack.ts";
import { type Bench, type BenchOptions, type BenchResult, inTurn } from "./harness.ts";
import { findPeer, peerFolder, peerMissing, runForJson } from "./peers/peer.ts";

const VIEWS = 25;
const FEATURES = 10;
const ENTITIES = 1_000;
const MANY = 100;
const IN_FLIGHT = 16;

export const online: Bench = {
  name: "online",
  summary: "250 features of 25 views, of 1 and of 100 entities, beside Feast's feature server",
  run,
};

/** Asks for the features of entities, up to the last byte. @returns a check that they are what was stored */
type Read = (entities: readonly number[]) => Promise<() => void>;

async function run({ rounds, scale, say }: BenchOptions): Promise<BenchResult> {
  await using bench = await startBenchStack(["feature-store"], { say });
  const requests = Math.max(50, Math.round(1_000 * scale));
  await store(bench);
  const ours = readOurs(bench.stack.services.get("feature-store")!.url);
  await using feast = await startFeast(bench, say);
  const turns = {
    ours: () => measure(ours, requests),
    // As many requests: a tail is as long as one looks.
    ...(feast === undefined ? {} : { feast: () => measure(feast.read, requests) }),
  };
  const measured = await inTurn(turns, { rounds, say });
  const figures = Object.fromEntries(
    Object.entries(measured).flatMap(([side, of]) =>
      Object.entries(of).map(([name, value]) => [`${side}_${name}`, value])
    ),
  );
  const notes = [
    `${VIEWS} views of ${FEATURES} features, ${ENTITIES} entities, the latest value of each, one process a side`,
    `p50 and p99 with one request in flight, up to the last byte of its answer; throughput with ${IN_FLIGHT}, answers ` +
    "read and checked; the client is on the same machine",
    ...await bench.describe(),
  ];
  const { ours: our, feast: their } = measured;
  if (their === undefined) return { ratios: {}, figures, notes: [...notes, peerMissing("feast")] };
  return {
    ratios: {
      feast_p99: their["p99_ms"]! / our!["p99_ms"]!,
      feast_loaded_p99: their["loaded_p99_ms"]! / our!["loaded_p99_ms"]!,
      feast_throughput: our!["per_second"]! / their["per_second"]!,
      feast_time: their["hundred_ms"]! / our!["hundred_ms"]!,
    },
    figures,
    notes,
  };
}

const valueOf = (entity: number, view: number, feature: number) => entity * 1_000 + view * 10 + feature;
const numbers = (count: number) => Array.from({ length: count }, (_, number) => number);

/** Views of latest values, filled by pushes. */
async function store({ bus }: BenchStack): Promise<void> {
  const project = "bench";
  await call(bus, features.putEntity, {
    project,
    name: "account",
    body: { keys: { account_id: "integer" } },
  });
  for (const view of numbers(VIEWS)) {
    const latest = (feature: number) => ({ aggregate: "last", field: `f${feature}`, window: null }) as const;
    const body = {
      entity: "account",
      source: `source_${view}`,
      ttl: "P365D",
      features: Object.fromEntries(numbers(FEATURES).map((feature) => [`f${feature}`, latest(feature)])),
    };
    await call(bus, features.putView, { project, name: `view_${view}`, body });
    const rows = numbers(ENTITIES).map((entity) => ({
      entity: { account_id: entity },
      values: Object.fromEntries(
        numbers(FEATURES).map((feature) => [`f${feature}`, valueOf(entity, view, feature)]),
      ),
    }));
    await call(bus, features.push, { view: `view_${view}`, rows }, { timeoutMs: 30_000 });
  }
  while (!(await call(bus, features.viewVersions, {})).versions.every(({ status }) => status === "ready")) {
    await delay(100);
  }
}

function readOurs(url: string): Read {
  const asked = numbers(VIEWS).flatMap((view) =>
    numbers(FEATURES).map((feature) => `view_${view}.f${feature}`)
  );
  return async (entities) => {
    const body = { features: asked, entities: entities.map((account_id) => ({ account_id })) };
    const reply = await post(`${url}/v1/features/online`, body);
    return () => {
      const { rows } = JSON.parse(reply) as { rows: { values: number[] }[] };
      const { values } = rows.at(-1)!;
      check(
        values.length === VIEWS * FEATURES &&
          values.at(-1) === valueOf(entities.at(-1)!, VIEWS - 1, FEATURES - 1),
      );
    };
  };
}

async function startFeast(
  bench: BenchStack,
  say: (line: string) => void,
): Promise<{ read: Read } & AsyncDisposable | undefined> {
  const python = findPeer("feast");
  if (python === undefined) return undefined;
  say("filling Feast's online store, starting its feature server");
  const folder = join(bench.folder, "feast");
  await Deno.mkdir(folder);
  const { host, port: databasePort, database, user, password } = parseDatabaseUrl(
    bench.stack.databaseUrl("feature-store"),
  );
  const connection = JSON.stringify({
    host,
    port: databasePort,
    database,
    user,
    password,
    db_schema: "feast",
  });
  const script = new URL("peers/feast_online.py", import.meta.url).pathname;
  await runForJson(python, [script, folder, connection, `${VIEWS}`, `${FEATURES}`, `${ENTITIES}`]);
  const port = freePort();
  const server = new Deno.Command(join(peerFolder("feast"), "bin", "feast"), {
    args: ["--chdir", folder, "serve", "--host", "127.0.0.1", "--port", `${port}`, "--no-access-log"],
    stdout: "null",
    stderr: "null",
  }).spawn();
  const url = `http://127.0.0.1:${port}`;
  while (
    !await fetch(`${url}/health`).then(async (response) => (await response.text(), response.ok), () => false)
  ) {
    await delay(200);
  }
  const asked = numbers(VIEWS).flatMap((view) =>
    numbers(FEATURES).map((feature) => `view_${view}:f${feature}`)
  );
  return {
    async read(entities) {
      const reply = await post(`${url}/get-online-features`, {
        features: asked,
        entities: { account_id: entities },
        full_feature_names: true,
      });
      return () => {
        const { results } = JSON.parse(reply) as { results: { values: number[] }[] };
        check(
          results.some(({ values }) => values.at(-1) === valueOf(entities.at(-1)!, VIEWS - 1, FEATURES - 1)),
        );
      };
    },
    async [Symbol.asyncDispose]() {
      server.kill("SIGTERM");
      await server.status;
    },
  };
}

async function post(url: string, body: unknown): Promise<string> {
  const request = () =>
    fetch(url, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(body),
    });
  // A server may close a connection that was idle during the other's turn just when it is used again.
  const response = await request().catch(request);
  if (!response.ok) throw new Error(`${url} answered ${response.status}: ${await response.text()}`);
  return await response.text();
}

function check(right: boolean): void {
  if (!right) throw new Error("A read answered other values than were stored");
}

async function measure(read: Read, requests: number): Promise<Record<string, number>> {
  let next = 0;
  const entity = () => next = (next + 7) % ENTITIES;
  const timed = async (entities: readonly number[]) => {
    const startedAt = performance.now();
    const check = await read(entities);
    const ms = performance.now() - startedAt;
    check();
    return ms;
  };
  const one: number[] = [];
  for (let request = 0; request < requests; request++) one.push(await timed([entity()]));
  const loaded: number[] = [];
  const startedAt = performance.now();
  let left = requests;
  await Promise.all(
    numbers(IN_FLIGHT).map(async () => {
      while (left-- > 0) loaded.push(await timed([entity()]));
    }),
  );
  const seconds = (performance.now() - startedAt) / 1_000;
  const hundred: number[] = [];
  for (let request = 0; request < Math.max(10, requests / 20); request++) {
    hundred.push(await timed(numbers(MANY).map(entity)));
  }
  return {
    p50_ms: quantile(one, 0.5),
    p99_ms: quantile(one, 0.99),
    loaded_p99_ms: quantile(loaded, 0.99),
    per_second: requests / seconds,
    hundred_ms: quantile(hundred, 0.5),
  };
}

function quantile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))]!;
}
