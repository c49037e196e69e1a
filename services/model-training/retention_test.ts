import { assert, assertEquals } from "@std/assert";
import {
  createRun,
  finishRun,
  getCard,
  getRun,
  listRuns,
  logArtifact,
  logRun,
  putModel,
  retryRun,
  startRun,
} from "shared/contracts/model_training.ts";
import { connectDatabase } from "shared/db/connection.ts";
import { silentLogger } from "shared/log.ts";
import { startTestBus } from "shared/testing/bus.ts";
import { createTestDatabase } from "shared/testing/database.ts";
import type { TestService } from "shared/testing/service.ts";
import { BITE_ROWS } from "./repository/retention.ts";
import { forgetOldRuns } from "./retention.ts";
import { ended, model, put, reorder, start, train, WEEKS } from "./testing/stand.ts";
import { startTestFeatureStore } from "./testing/feature_store.ts";
import { observe } from "./testing/observations.ts";

const text = (value: string) => new TextEncoder().encode(value);
const NEVER = new AbortController().signal;
const OPTIONS = { progressDays: 10, runDays: 12, graceSeconds: 0 };

async function stand() {
  await using stack = new AsyncDisposableStack();
  const bus = stack.use(await startTestBus());
  const database = stack.use(await createTestDatabase("model-training"));
  stack.use(await startTestFeatureStore(bus, observe({ weeks: WEEKS })));
  const service = await start({ bus, databaseUrl: database.url });
  stack.defer(() => service.stop());
  const db = connectDatabase({ url: database.url, log: silentLogger, max: 1 });
  stack.defer(() => db.end());
  const all = stack.move();
  return { bus, db, service, [Symbol.asyncDispose]: () => all.disposeAsync() };
}

async function uploaded(service: TestService, id: string, name: string, body: string): Promise<string> {
  const response = await fetch(`${service.url}/v1/runs/${id}/artifacts/${name}`, { method: "PUT", body });
  assertEquals(response.status, 201);
  return (await response.json()).sha256;
}

Deno.test("forgetOldRuns() removes old runs with their files, and nothing that a version or another run has", async () => {
  await using made = await stand();
  const { bus, db, service } = made;
  await service.call(putModel, put());
  const adHoc = { project: "shop", ...reorder() };
  const { id: unregistered } = await service.call(startRun, { adHoc });
  const twin = await ended(service, unregistered);
  // The same rows and parameters give the same bytes: the file that came with that run is the version's too.
  const version = await train(service);
  const { version: { sha256, run } } = await service.call(getCard, { model, version });
  assertEquals(twin.artifacts[0]!.sha256, sha256);
  const { id: retried } = await service.call(retryRun, { id: unregistered });
  await ended(service, retried);

  const { id: old } = await service.call(createRun, { project: "lab", trainingSet: sha256 });
  const metrics = Array.from(
    { length: BITE_ROWS + 500 },
    (_, step) => ({ name: "loss", step, value: 1 / (step + 1) }),
  );
  await service.call(logRun, {
    id: old,
    metrics,
    lines: ["one"],
    tags: { kind: "trial" },
    results: { auc: 1 },
  });
  const own = await uploaded(service, old, "own.txt", "own");
  const shared = await uploaded(service, old, "shared.txt", "shared");
  const theirs = await bus.files.put(text("put there by someone else"));
  await service.call(logArtifact, { id: old, name: "theirs.txt", sha256: theirs });
  const { id: young } = await service.call(createRun, { project: "lab" });
  await uploaded(service, young, "shared.txt", "shared");
  for (const id of [old, young]) await service.call(finishRun, { id });

  await db`update runs set finished_at = finished_at - interval '11 days' where id <> ${young}`;
  const forgotten = await forgetOldRuns({ db, bus }, OPTIONS, NEVER);
  assertEquals(forgotten, { progress: 4, runs: 0, files: 0 });
  await db`update runs set finished_at = finished_at - interval '11 days' where id in ${
    db([old, unregistered])
  }`;
  assertEquals(
    await forgetOldRuns({ db, bus }, OPTIONS, NEVER),
    { progress: 0, runs: 2, files: 1 },
  );

  const { runs } = await service.call(listRuns, {});
  assertEquals(new Set(runs.map(({ id }) => id)), new Set([run, retried, young]));
  assertEquals((await service.call(getRun, { id: retried })).retryOf, null);
  assertEquals(await Promise.all([own, shared, theirs, sha256].map((file) => bus.files.has(file))), [
    false,
    true,
    true,
    true,
  ]);
  const card = await service.call(getCard, { model, version });
  assertEquals([card.run.status, card.run.artifacts.length], ["done", 1]);
  const page = await (await fetch(`${service.url}/v1/models/${model}/versions/${version}/card.html`)).text();
  assert(page.includes("Loss by round"), "the metrics by round of a version's run stay");
  const left = await db<{ rows: number }[]>`select count(*)::int as rows from run_metrics where run = ${old}`;
  assertEquals(left[0]!.rows, 0);
  const file = await fetch(`${service.url}/v1/models/${model}/versions/${version}/model.onnx`);
  assertEquals((await file.bytes()).length, card.version.bytes);
});

Deno.test("forgetOldRuns() leaves the last event of an old run, so that who follows it is told its end", async () => {
  await using made = await stand();
  const { bus, db, service } = made;
  const { id } = await service.call(createRun, { project: "lab" });
  for (let step = 0; step < 5; step++) await service.call(logRun, { id, progress: step / 5 });
  await service.call(finishRun, { id });
  const follow = async () => {
    const response = await fetch(`${service.url}/v1/runs/${id}/events`);
    return [...(await response.text()).matchAll(/^data: (.*)$/gm)].map(([, event]) => JSON.parse(event!));
  };
  const told = await follow();
  assertEquals(told.length, 7);
  await db`update runs set finished_at = finished_at - interval '11 days'`;
  assertEquals(await forgetOldRuns({ db, bus }, OPTIONS, NEVER), { progress: 1, runs: 0, files: 0 });
  assertEquals(await follow(), told.slice(-1));
  assertEquals(await forgetOldRuns({ db, bus }, OPTIONS, NEVER), { progress: 0, runs: 0, files: 0 });
});

Deno.test("forgetOldRuns() removes the file of an artifact that was replaced, when nothing else names it", async () => {
  await using made = await stand();
  const { bus, db, service } = made;
  const [{ id }, { id: other }] = [
    await service.call(createRun, { project: "lab" }),
    await service.call(createRun, { project: "lab" }),
  ];
  const forget = async (options = OPTIONS) => (await forgetOldRuns({ db, bus }, options, NEVER)).files;
  const there = (files: string[]) => Promise.all(files.map((file) => bus.files.has(file)));
  const first = await uploaded(service, id, "model.onnx", "first");
  const shared = await uploaded(service, id, "notes.txt", "shared");
  assertEquals(await uploaded(service, other, "notes.txt", "shared"), shared);
  const theirs = await bus.files.put(text("put there by someone else"));
  await service.call(logArtifact, { id, name: "theirs.txt", sha256: theirs });
  const second = await uploaded(service, id, "model.onnx", "second");
  for (const name of ["notes.txt", "theirs.txt"]) await uploaded(service, id, name, `another ${name}`);

  // It may be brought once more until then.
  assertEquals(await forget({ ...OPTIONS, graceSeconds: 60 }), 0);
  assertEquals(await uploaded(service, other, "model.onnx", "first"), first);
  assertEquals([await forget(), await there([first, second, shared, theirs])], [0, [true, true, true, true]]);
  const kept = async () => (await db`select from model_files`).length;
  assertEquals(await kept(), 2);

  // Who named it last owns it.
  for (const name of ["model.onnx", "notes.txt"]) {
    await uploaded(service, other, name, `another ${name} of theirs`);
  }
  assertEquals([await forget(), await there([first, second, shared, theirs])], [2, [
    false,
    true,
    false,
    true,
  ]]);
  assertEquals(await kept(), 2);
});
