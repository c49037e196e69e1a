import {
  assert,
  assertEquals,
  assertGreater,
  assertLess,
  assertRejects,
  assertStringIncludes,
} from "@std/assert";
import {
  listRuns,
  listVersions,
  type ModelRegistered,
  putModel,
  startRun,
} from "shared/contracts/model_training.ts";
import { MODEL_METADATA } from "shared/contracts/signature.ts";
import { STREAM } from "shared/contracts/streams.ts";
import { AppError } from "shared/errors.ts";
import { readModel } from "shared/onnx/reader.ts";
import { eventually } from "shared/testing/poll.ts";
import { storedEvents } from "shared/testing/streams.ts";
import { observe } from "./testing/observations.ts";
import { ended, model, put, reorder, start, startStand, train, WEEKS } from "./testing/stand.ts";

Deno.test("model-training takes a run from its features to a registered version", async () => {
  await using stand = await startStand();
  const { service, features } = stand;
  const published = () => storedEvents<ModelRegistered>(service.bus, STREAM.models);
  const { id } = await service.call(startRun, { model, reason: "first" }, { actor: "ada" });
  const run = await ended(service, id);

  assertEquals([run.status, run.stage, run.progress, run.error], ["done", "done", 1, null]);
  assertEquals([run.project, run.actor, run.reason, run.version], ["shop", "ada", "first", 1]);
  assertEquals(run.parameters["rounds"], 40);
  assertEquals(run.parameters["l2"], 0, "defaults are written out");
  const [asked] = features.asked;
  assertEquals(asked!.key, `model-training/${id}`);
  assertEquals(asked!.request.featureService, { name: "reorder_features" });
  assertEquals(asked!.request.from, "2026-01-05T00:00:00.000Z");

  const { versions: [version, ...others] } = await service.call(listVersions, { model });
  assertEquals(others, []);
  const { signature } = version!;
  const evaluation = version!.evaluation!;
  assertEquals(evaluation, run.evaluation);
  assertEquals(evaluation.rows, 180, "three weeks of 60 customers");
  assertEquals(evaluation.trainUntil, "2026-04-06T00:00:00.000Z");
  assertEquals(evaluation.testFrom, "2026-04-20T00:00:00.000Z");
  assertLess(evaluation.model["log_loss"]!, evaluation.baseline["log_loss"]! * 0.9);
  assertEquals(evaluation.baseline["auc"], 0.5);
  const [low, high] = evaluation.interval;
  assert(low < evaluation.model["log_loss"]! && evaluation.model["log_loss"]! < high);

  assertEquals(signature.featureService, { name: "reorder_features", version: 7 });
  assertEquals(signature.inputs.map(({ name, nulls }) => `${name} ${nulls}`), [
    "orders.recency refuse",
    "orders.spend as_trained",
    "orders.noise refuse",
  ]);
  const file = await service.bus.files.get(version!.sha256);
  assertEquals(file.length, version!.bytes);
  assertEquals(JSON.parse(readModel(file).metadata[MODEL_METADATA.trainingSet]!), {
    sha256: version!.trainingSet,
    views: [{ name: "orders", version: 3 }],
  });

  await eventually(async () => assertEquals((await published()).length, 1));
  const [event] = await published();
  assertEquals([event!.source, event!.id, event!.actor], [model, `${model}/1`, "ada"]);
  assertEquals(event!.data.sha256, version!.sha256);
  const { name, counts, missing } = event!.data.referenceBins[1]!;
  assertEquals(name, "orders.spend");
  assertEquals(counts.reduce((sum, count) => sum + count, missing), evaluation.trainRows);
  assertGreater(missing, 0);
  assertEquals(event!.data.referenceBins.at(-1)!.name, "output");
});

Deno.test("model-training trains the same file twice, as two versions, and a logistic one for a run alone", async () => {
  await using stand = await startStand({ env: { RUNS_AT_ONCE: "2" } });
  const { service } = stand;
  await train(service);
  await train(service);
  await train(service, { algorithm: "logistic" });

  const { versions: [third, second, first] } = await service.call(listVersions, { model });
  assertEquals([first!.version, second!.version, third!.version], [1, 2, 3]);
  assertEquals(first!.sha256, second!.sha256);
  assert(third!.sha256 !== first!.sha256);
  const { runs: [newest] } = await service.call(listRuns, { model, limit: 1 });
  assertEquals([newest!.algorithm, newest!.version], ["logistic", 3]);
  assertEquals(Object.keys(newest!.parameters).includes("rounds"), false);
});

Deno.test("model-training says why a run failed, and registers nothing", async () => {
  await using stand = await startStand();
  const { service, features } = stand;
  const failure = async () => {
    const { id } = await service.call(startRun, { model });
    const run = await ended(service, id);
    assertEquals([run.status, run.version], ["failed", null]);
    return run.error!;
  };
  features.table = observe({ weeks: WEEKS, label: 1 });
  assertStringIncludes(await failure(), "all 840 rows have the label 1, both must occur");
  features.table = observe({ weeks: 0 });
  assertStringIncludes(await failure(), "it is empty");
  features.table = observe({ weeks: 2 });
  assertStringIncludes(await failure(), "the labels of all its 120 rows lie after the project's clock");
  features.table = observe({ weeks: 5 });
  assertStringIncludes(await failure(), "the training part is empty");
  features.failure = "the view is gone";
  assertStringIncludes(await failure(), "the feature store says it failed: the view is gone");
  assertEquals((await service.call(listVersions, { model })).versions, []);
});

Deno.test("model-training refuses a model that could not be trained, with what is accepted", async () => {
  await using service = await start();
  const refused = async (changes: Record<string, unknown>) => {
    const error = await assertRejects(() => service.call(putModel, put(reorder(changes))), AppError);
    assertEquals(error.code, "invalid");
    return error.message;
  };
  const unknown = await refused({ parameters: { trees: 3 } });
  assertStringIncludes(unknown, "trees is unknown: it must be one of rounds, learningRate");
  assertStringIncludes(
    await refused({ parameters: { rounds: 0 } }),
    "rounds is 0: Too small: expected number to be >=1",
  );
  assertStringIncludes(await refused({ metric: "rmse" }), "must be one of auc, average_precision, log_loss");
  assertStringIncludes(
    await refused({ algorithm: "logistic", task: "regression", metric: "rmse" }),
    "logistic",
  );
  assertStringIncludes(await refused({ split: { test: "P0D" } }), "/split/test is P0D");
});

Deno.test("startRun() answers the same to the same key, and refuses what it does not know", async () => {
  await using service = await start();
  await service.call(putModel, put());
  const key = { idempotencyKey: "once" };
  const first = await service.call(startRun, { model }, key);
  assertEquals(await service.call(startRun, { model }, key), first);
  const { runs } = await service.call(listRuns, {});
  assertEquals(runs.map(({ id }) => id), [first.id]);

  await assertRejects(
    () => service.call(startRun, { model: "other" }),
    AppError,
    "there is no model of this name",
  );
  await assertRejects(
    () => service.call(startRun, { model, parameters: { depth: 3 } }),
    AppError,
    "depth is unknown",
  );
});
