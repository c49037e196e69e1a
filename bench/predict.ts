/**
 * `predict`: one row of 20 features over HTTP, validated, predicted and logged, beside the servers that people use for
 * it, with the same model file and the same row, and beside an echo of the body.
 *
 * @module
 */
import { join } from "node:path";
import { type Bench, type BenchOptions, type BenchResult, inTurn } from "./harness.ts";
import { findPeer, peerFolder, peerMissing } from "./peers/peer.ts";
import { forestFile, namedRow, rowsOf } from "./serving/forest.ts";
import { startProgram } from "./serving/program.ts";
import { type ServingStack, startServingStack } from "./serving/serving_stack.ts";
import { hasWrk, type Load, runLoad } from "./serving/wrk.ts";

const SECONDS = 5;
const CONNECTIONS = 32;
const MODEL = "forest";
const HERE = new URL(".", import.meta.url).pathname;

export const predict: Bench = {
  name: "predict",
  summary: "one row, validated and logged, beside FastAPI, BentoML, MLServer and an echo (needs wrk)",
  run,
};

interface Target {
  url: string;
  body: string;
  /** Answers once none of its records is on its way: how many were acknowledged since it was asked last. */
  acknowledged?: string;
}

async function run({ rounds, scale, say }: BenchOptions): Promise<BenchResult> {
  if (!await hasWrk()) return { ratios: {}, figures: {}, notes: ["wrk is not there: nothing was measured"] };
  await using started = new AsyncDisposableStack();
  const serving = started.use(await startServingStack({ say }));
  const file = join(serving.bench.folder, "forest.onnx");
  await Deno.writeFile(file, forestFile(1));
  await serving.serve(MODEL, 1, await Deno.readFile(file));
  const [row] = rowsOf(1) as [number[]];
  const body = JSON.stringify({ rows: [namedRow(row)] });
  const ours: Target = { url: `${serving.url}/v1/models/${MODEL}/predict`, body };

  const echo = started.use(
    await startProgram({
      command: Deno.execPath(),
      args: (port) => ["run", "-A", join(HERE, "serving/echo_server.ts"), String(port)],
      ready: "/ready",
    }),
  );
  const echoed: Target = { url: `http://127.0.0.1:${echo.port}/echo`, body };
  const { natsUrl } = serving.bench.stack;
  const { targets, notes } = await startPeers(started, { file, row, body, natsUrl, say });

  const seconds = Math.max(1, Math.round(SECONDS * scale));
  const folder = serving.bench.folder;
  const load = async ({ url, body, acknowledged }: Target, connections = CONNECTIONS) => {
    const result = await runLoad({ url, body, connections, seconds }, folder);
    const { requests, perSecond, p50Us, p99Us, failed } = result;
    const records = acknowledged === undefined ? Infinity : await (await fetch(acknowledged)).json();
    if (records < requests) throw new Error(`${url} logged ${records} of ${requests} answers`);
    return { per_second: perSecond, p50_us: p50Us, p99_us: p99Us, failed };
  };
  const unlogged: number[] = [];
  const results = await inTurn({
    ours: () => loadAndCount(serving, { ...ours, connections: CONNECTIONS, seconds }, folder, unlogged),
    echo: () => load(echoed),
    ...Object.fromEntries(Object.entries(targets).map(([name, target]) => [name, () => load(target)])),
    ours_alone: () => load(ours, 1),
    echo_alone: () => load(echoed, 1),
  }, { rounds, say });

  const figure = (name: string, of = "per_second") => results[name]?.[of];
  const rate = figure("ours")!;
  const p99 = figure("ours", "p99_us")!;
  const ratios: Record<string, number> = { echo: rate / figure("echo")! };
  for (const name of Object.keys(targets)) ratios[name] = rate / figure(name)!;
  const theirP99 = figure("fastapi_def", "p99_us");
  if (theirP99 !== undefined) ratios["fastapi_p99"] = theirP99 / p99;
  const plainP99 = figure("fastapi_plain_def", "p99_us");
  if (plainP99 !== undefined) ratios["fastapi_plain_p99"] = plainP99 / p99;
  return {
    ratios,
    figures: {
      ...Object.fromEntries(
        Object.entries(results).map(([name, { per_second }]) => [`${name}_per_second`, per_second!]),
      ),
      ours_p50_us: figure("ours", "p50_us")!,
      ours_p99_us: p99,
      echo_p99_us: figure("echo", "p99_us")!,
      ...(theirP99 === undefined ? {} : { fastapi_def_p99_us: theirP99 }),
      ...(plainP99 === undefined ? {} : { fastapi_plain_def_p99_us: plainP99 }),
      ours_alone_p50_us: figure("ours_alone", "p50_us")!,
      echo_alone_p50_us: figure("echo_alone", "p50_us")!,
      answers_not_logged: unlogged.reduce((sum, count) => sum + count, 0),
    },
    notes: [
      `${CONNECTIONS} connections of wrk for ${seconds} s, one process each, all on one machine; alone: one connection`,
      "fastapi: uvloop and httptools, no access log; fastapi_plain: asyncio and h11, with it, as plain uvicorn runs",
      "fastapi_logged: as fastapi, with the metrics and the log to JetStream that ours has; the others log nothing",
      "100 trees of depth 6 over 20 features; each answer of ours is a record in PREDICTIONS, which are counted",
      ...notes,
      ...await serving.bench.describe(),
    ],
  };
}

/** Counts the records of the load: one an answer; of requests that were cut off at the end there may be more. */
async function loadAndCount(
  serving: ServingStack,
  load: Load,
  folder: string,
  unlogged: number[],
): Promise<Record<string, number>> {
  await serving.emptyLog();
  const { requests, perSecond, p50Us, p99Us, failed } = await runLoad(load, folder);
  if (failed > 0) throw new Error(`${failed} of our own answers failed`);
  const logged = await serving.logged();
  unlogged.push(Math.max(0, requests - logged));
  return { per_second: perSecond, p50_us: p50Us, p99_us: p99Us };
}

async function startPeers(
  started: AsyncDisposableStack,
  { file, row, body, natsUrl, say }: {
    file: string;
    row: number[];
    body: string;
    natsUrl: string;
    say: (line: string) => void;
  },
): Promise<{ targets: Record<string, Target>; notes: string[] }> {
  const targets: Record<string, Target> = {};
  const notes: string[] = [];
  const peers = join(HERE, "peers");
  const env = { MODEL: file, NATS_URL: natsUrl };
  const start = async (group: string, make: () => Promise<void>) => {
    if (findPeer(group) === undefined) {
      notes.push(peerMissing(group));
      return;
    }
    say(`starting ${group}`);
    await make();
  };
  await start("fastapi", async () => {
    const uvicorn = async (flags: readonly string[]) =>
      started.use(
        await startProgram({
          command: join(peerFolder("fastapi"), "bin/uvicorn"),
          args: (port) => ["fastapi_app:app", "--port", String(port), "--app-dir", peers, ...flags],
          ready: "/ready",
          env: () => env,
        }),
      );
    // With what `uvicorn[standard]` adds and without an access log, as it is run for speed ...
    const { port } = await uvicorn(["--no-access-log"]);
    for (const path of ["def", "async", "pickle"]) {
      targets[`fastapi_${path}`] = { url: `http://127.0.0.1:${port}/${path}`, body };
    }
    const acknowledged = `http://127.0.0.1:${port}/logged`;
    for (const path of ["def", "async"]) {
      targets[`fastapi_logged_${path}`] = { url: `${acknowledged}/${path}`, body, acknowledged };
    }
    // ... and as `pip install fastapi uvicorn` and `uvicorn app:app` give it.
    const plain = await uvicorn(["--loop", "asyncio", "--http", "h11"]);
    for (const path of ["def", "async"]) {
      targets[`fastapi_plain_${path}`] = { url: `http://127.0.0.1:${plain.port}/${path}`, body };
    }
  });
  await start("bentoml", async () => {
    const program = started.use(
      await startProgram({
        command: join(peerFolder("bentoml"), "bin/bentoml"),
        args: (port) => ["serve", "bentoml_service:Forest", "--port", String(port), "--host", "127.0.0.1"],
        ready: "/readyz",
        env: () => ({ ...env, BENTOML_DO_NOT_TRACK: "True" }),
        cwd: peers,
      }),
    );
    targets["bentoml"] = {
      url: `http://127.0.0.1:${program.port}/predict`,
      body: JSON.stringify({ rows: [row] }),
    };
  });
  await start("mlserver", async () => {
    const program = started.use(
      await startProgram({
        command: join(peerFolder("mlserver"), "bin/mlserver"),
        args: () => ["start", join(peers, "mlserver")],
        ready: "/v2/models/forest/ready",
        env: (port) => ({
          ...env,
          PYTHONPATH: join(peers, "mlserver"),
          MLSERVER_HOST: "127.0.0.1",
          MLSERVER_HTTP_PORT: String(port),
          MLSERVER_GRPC_PORT: String(port + 1),
          MLSERVER_METRICS_PORT: String(port + 2),
          MLSERVER_PARALLEL_WORKERS: "0",
          MLSERVER_DEBUG: "false",
        }),
      }),
    );
    targets["mlserver"] = {
      url: `http://127.0.0.1:${program.port}/v2/models/forest/infer`,
      body: JSON.stringify({
        inputs: [{ name: "features", datatype: "FP32", shape: [1, row.length], data: row }],
      }),
    };
  });
  return { targets, notes };
}
