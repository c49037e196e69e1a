import { assertEquals, assertRejects } from "@std/assert";
import {
  createRun,
  finishRun,
  getRun,
  logArtifact,
  logRun,
  runLogs,
  runMetrics,
  startRun,
} from "shared/contracts/model_training.ts";
import { AppError } from "shared/errors.ts";
import { model, start, startStand } from "./testing/stand.ts";

Deno.test("a run of someone's own code is logged over HTTP", async () => {
  await using service = await start();
  const json = async (path: string, body: unknown) => {
    const response = await fetch(`${service.url}${path}`, {
      method: "POST",
      headers: { "content-type": "application/json", "microml-actor": "ada" },
      body: JSON.stringify(body),
    });
    return { status: response.status, body: await response.json() };
  };
  const { status, body: { id } } = await json("/v1/logged-runs", {
    project: "lab",
    algorithm: "xgboost",
    parameters: { depth: 6, booster: "dart" },
    environment: { python: "3.12" },
    gitRevision: "4f2a",
  });
  assertEquals(status, 201);
  await json(`/v1/runs/${id}/log`, {
    metrics: [{ name: "loss", step: 1, value: 0.5 }, { name: "loss", step: 2, value: 0.4 }],
    lines: ["first epoch", "second epoch"],
    progress: 0.5,
  });
  // A point logged again, as after a crash, replaces the first.
  await json(`/v1/runs/${id}/log`, {
    metrics: [
      { name: "loss", step: 2, value: 0.3 },
      { name: "loss", step: 3, value: "NaN" },
      { name: "loss", step: 4, value: "Infinity" },
    ],
    results: { auc: 0.91 },
    tags: { stage: "trial" },
  });
  const picture = new Uint8Array(9 * 1024 * 1024).fill(7);
  const put = await fetch(`${service.url}/v1/runs/${id}/artifacts/picture.png`, {
    method: "PUT",
    headers: { "content-type": "image/png" },
    body: picture,
  });
  assertEquals([put.status, (await put.json()).bytes], [201, picture.length]);
  const form = new FormData();
  form.append("file", new File(["a,b\n"], "any name", { type: "text/csv" }));
  const formed = await fetch(`${service.url}/v1/runs/${id}/artifacts/table.csv`, {
    method: "PUT",
    body: form,
  });
  const { name, bytes, mediaType } = await formed.json();
  assertEquals([formed.status, name, bytes, mediaType], [201, "table.csv", 4, "text/csv"]);
  // What curl says of a body that it was told nothing of.
  const said = await fetch(`${service.url}/v1/runs/${id}/artifacts/notes`, {
    method: "PUT",
    headers: { "content-type": "application/x-www-form-urlencoded" },
    body: "notes",
  });
  assertEquals((await said.json()).mediaType, "application/octet-stream");
  assertEquals((await json(`/v1/runs/${id}/finish`, {})).status, 200);

  const run = await service.call(getRun, { id });
  assertEquals([run.kind, run.status, run.algorithm, run.actor, run.gitRevision], [
    "logged",
    "done",
    "xgboost",
    "ada",
    "4f2a",
  ]);
  assertEquals([run.parameters, run.metrics, run.tags, run.environment], [
    { booster: "dart", depth: 6 },
    { auc: 0.91 },
    { stage: "trial" },
    { python: "3.12" },
  ]);
  assertEquals((await service.call(runMetrics, { id })).points.map(({ value }) => value), [
    0.5,
    0.3,
    "NaN",
    "Infinity",
  ]);
  const page = await service.call(runLogs, { id, limit: 1 });
  assertEquals(page.lines.map(({ line }) => line), ["first epoch"]);
  assertEquals((await service.call(runLogs, { id, after: page.next! })).lines.map(({ line }) => line), [
    "second epoch",
  ]);
  const got = await fetch(`${service.url}/v1/runs/${id}/artifacts/picture.png`);
  assertEquals([got.headers.get("content-type"), await got.bytes()], ["image/png", picture]);
  const late = await json(`/v1/runs/${id}/log`, { results: { auc: 1 } });
  assertEquals([late.status, late.body.detail], [409, `Cannot log the run ${id}: it has ended, it is done`]);
});

Deno.test("a run of someone's own code is logged over NATS, and a failure keeps its reason", async () => {
  await using stand = await startStand();
  const { service } = stand;
  const { id } = await service.call(createRun, { project: "lab", model: "churn" }, {
    idempotencyKey: "job 7",
  });
  assertEquals(
    await service.call(createRun, { project: "lab", model: "churn" }, { idempotencyKey: "job 7" }),
    {
      id,
    },
  );
  await service.call(logRun, { id, parameters: { trees: 10 } });
  const sha256 = await service.bus.files.put(new TextEncoder().encode("importances"));
  await service.call(logArtifact, { id, name: "importances.txt", sha256 });
  await service.call(finishRun, { id, error: "out of memory" });
  const run = await service.call(getRun, { id });
  assertEquals([run.status, run.error, run.artifacts[0]!.sha256], ["failed", "out of memory", sha256]);

  const { id: own } = await service.call(startRun, { model });
  await assertRejects(
    () => service.call(logRun, { id: own }),
    AppError,
    "it was trained, not begun by create-run",
  );
  await assertRejects(
    () => service.call(logArtifact, { id, name: "../escape", sha256 }),
    AppError,
    "must be a file name without a path",
  );
});
