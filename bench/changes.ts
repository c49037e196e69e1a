/**
 * `changes`: from telling a change of what is served until two copies of model-serving answer by it, under light load;
 * and the same for a watcher whose message of the change is lost on the way.
 *
 * @module
 */
import { watchBucket } from "shared/bus/bucket.ts";
import type { Bus } from "shared/bus/connection.ts";
import { call } from "shared/bus/endpoints.ts";
import { putDeployment } from "shared/contracts/model_serving.ts";
import { aliasEntrySchema } from "shared/contracts/model_training.ts";
import { BUCKET } from "shared/contracts/streams.ts";
import { delay } from "shared/delay.ts";
import { silentLogger } from "shared/log.ts";
import { lossyBus } from "shared/testing/lossy_bus.ts";
import { type Bench, type BenchOptions, type BenchResult, median } from "./harness.ts";
import { forestFile, namedRow, rowsOf, signature } from "./serving/forest.ts";
import { pointChampion, startServingStack } from "./serving/serving_stack.ts";

const MODEL = "forest";
const COPIES = 2;
const CHANGES = 50;
const LOST = 20;
const ROUND_TRIPS = 200;
/** A call every so many ms to each copy, besides those that look whether the change is there. */
const LOAD_MS = 10;
const AIM_MS = 1_000;

export const changes: Bench = {
  name: "changes",
  summary: "a change of an alias or a deployment, until two copies answer by it; lost messages too",
  run,
};

async function run({ scale, say }: BenchOptions): Promise<BenchResult> {
  await using serving = await startServingStack({ say, copies: COPIES });
  const { bench: { bus }, url } = serving;
  const many = Math.max(4, Math.round(CHANGES * scale));
  // Fetched as they are admitted; making and storing them is not the change.
  const files = await Promise.all([1, 2].map((seed) => bus.files.put(forestFile(seed))));
  await serving.serve(MODEL, 1, forestFile(1));
  const copies = await connectToEach(url);
  // The first version is in the memory of one copy for certain, and the load begins once it is in that of all.
  for (const copy of copies) {
    while ((await copy.predict()).status !== 200) await delay(10);
  }
  const load = startLoad(copies);

  const aliases: number[] = [];
  for (let version = 2; version < many + 2; version++) {
    aliases.push(
      await timeOf(
        () => pointChampion(bus, { model: MODEL, version, sha256: files[version % 2]!, signature }),
        copies,
        async (copy) => {
          return (await copy.predict()).version === version;
        },
      ),
    );
  }
  say(`${many} changes of the alias`);
  const deployments: number[] = [];
  for (let change = 0; change < many; change++) {
    const unknown = change % 2 === 0 ? "ignore" : "refuse";
    const body = { input: { unknown } } as const;
    deployments.push(
      await timeOf(
        () => call(bus, putDeployment, { project: "bench", name: MODEL, body }),
        copies,
        async (copy) => {
          return (await copy.predict({ stranger: 1 })).status === (unknown === "ignore" ? 200 : 400);
        },
      ),
    );
  }
  say(`${many} changes of the deployment`);
  const { failed, calls } = await load.stop();
  const roundTrips: number[] = [];
  for (let trip = 0; trip < ROUND_TRIPS; trip++) roundTrips.push(await roundTrip(bus));
  const lost = await lostChanges(bus, Math.max(4, Math.round(LOST * scale)));
  const most = Math.max(...aliases, ...deployments, ...lost);
  return {
    ratios: { within: AIM_MS / most },
    figures: {
      alias_p50_ms: median(aliases),
      alias_most_ms: Math.max(...aliases),
      deployment_p50_ms: median(deployments),
      deployment_most_ms: Math.max(...deployments),
      lost_p50_ms: median(lost),
      lost_most_ms: Math.max(...lost),
      nats_round_trip_p50_ms: median(roundTrips),
      calls_meanwhile: calls,
      failed_meanwhile: failed,
    },
    notes: [
      `until the last of ${COPIES} copies answers by the change; an alias with the loading of its version, 100 trees`,
      "lost: a watcher of the same bucket, in this process, whose message is dropped after NATS has sent it",
      `within: ${AIM_MS} ms beside the longest of all`,
    ],
  };
}

/** @returns ms */
async function roundTrip({ nc }: Bus): Promise<number> {
  const startedAt = performance.now();
  await nc.flush();
  return performance.now() - startedAt;
}

interface Copy {
  predict(more?: Record<string, unknown>): Promise<{ status: number; version: number | undefined }>;
}

/** A connection to each copy: the system deals them out, so that a few may be needed. */
async function connectToEach(url: string): Promise<Copy[]> {
  const copies = new Map<string, Copy>();
  const row = namedRow(rowsOf(1)[0]!);
  while (copies.size < COPIES) {
    const client = Deno.createHttpClient({ poolMaxIdlePerHost: 1, poolIdleTimeout: false });
    const ready = await fetch(`${url}/readyz`, { client });
    const { instance } = await ready.json() as { instance: string };
    if (copies.has(instance)) {
      client.close();
      continue;
    }
    // One call at a time, or a second connection would be opened, perhaps to another copy.
    let turn: Promise<unknown> = Promise.resolve();
    copies.set(instance, {
      predict(more = {}) {
        const result = turn.then(async () => {
          const response = await fetch(`${url}/v1/models/${MODEL}/predict`, {
            client,
            method: "POST",
            headers: { "content-type": "application/json" },
            body: JSON.stringify({ rows: [{ ...row, ...more }] }),
          });
          const { version } = await response.json() as { version?: number };
          return { status: response.status, version };
        });
        turn = result.catch(() => {});
        return result;
      },
    });
  }
  return [...copies.values()];
}

function startLoad(copies: readonly Copy[]): { stop(): Promise<{ calls: number; failed: number }> } {
  const over = new AbortController();
  const count = { calls: 0, failed: 0 };
  const running = copies.map(async (copy) => {
    for (; !over.signal.aborted; await delay(LOAD_MS, over.signal)) {
      count.calls++;
      if ((await copy.predict()).status !== 200) count.failed++;
    }
  });
  return {
    async stop() {
      over.abort();
      await Promise.all(running);
      return count;
    },
  };
}

/** @returns ms from before the change is told until every copy answers by it */
async function timeOf(
  change: () => Promise<unknown>,
  copies: readonly Copy[],
  isThere: (copy: Copy) => Promise<boolean>,
): Promise<number> {
  const startedAt = performance.now();
  const told = change();
  await Promise.all(copies.map(async (copy) => {
    while (!await isThere(copy));
  }));
  const took = performance.now() - startedAt;
  await told;
  return took;
}

/** The same for watchers alone, who lose the message. @returns ms from before the change is told until it is known */
async function lostChanges(bus: Bus, many: number): Promise<number[]> {
  const lossy = lossyBus(bus);
  let known = 0;
  const watch = watchBucket(lossy, {
    bucket: BUCKET.aliases,
    filter: "lost.champion",
    schema: aliasEntrySchema,
    onEntry: (_key, entry) => void (known = entry?.version ?? known),
    log: silentLogger,
  });
  await watch.start();
  const times: number[] = [];
  for (let version = 1; version <= many; version++) {
    // At any moment between two looks for what was lost.
    await delay(1_000 + Math.random() * 1_000);
    lossy.lose(1);
    const startedAt = performance.now();
    await pointChampion(bus, { model: "lost", version, sha256: "0".repeat(64), signature });
    while (known < version) await delay(1);
    times.push(performance.now() - startedAt);
  }
  await watch.stop();
  if (lossy.lost < many) throw new Error(`${many - lossy.lost} messages were not lost`);
  return times;
}
