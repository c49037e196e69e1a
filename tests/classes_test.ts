/**
 * A label that is text, from the training set to the served answer and the monitor: classes keep their names all the way.
 *
 * @module
 */
import { assert, assertAlmostEquals, assertEquals, assertGreater, assertStringIncludes } from "@std/assert";
import type { ReplyOf } from "shared/contracts/endpoint.ts";
import { drift, putMonitor } from "shared/contracts/model_monitoring.ts";
import { predict, putDeployment, servedModels } from "shared/contracts/model_serving.ts";
import { getCard, getVersion, putModel, startRun } from "shared/contracts/model_training.ts";
import { type GoldenRows, MODEL_METADATA } from "shared/contracts/signature.ts";
import { readModel } from "shared/onnx/reader.ts";
import { eventually } from "shared/testing/poll.ts";
import { storedPredictions } from "shared/testing/predictions.ts";
import { startTestService } from "shared/testing/service.ts";
import type { TrainingSetTable } from "shared/training_set_table.ts";
import { createApp as createMonitoring } from "../services/model-monitoring/app.ts";
import { configSchema as monitoringConfig } from "../services/model-monitoring/config.ts";
import { createApp as createServing } from "../services/model-serving/app.ts";
import { configSchema as servingConfig } from "../services/model-serving/config.ts";
import { HORIZON_WEEKS, observe } from "../services/model-training/testing/observations.ts";
import {
  compare,
  ended,
  model,
  promote,
  reorder,
  startStand,
  train,
  WEEKS,
} from "../services/model-training/testing/stand.ts";

const CHANNELS = ["app", "phone", "shop", "web"];

/**
 * The next order's channel: told by recency, except now and then. `phone` is a channel that came up when only the test
 * part was still to come.
 */
function channels(names = CHANNELS): TrainingSetTable {
  const table = observe({ weeks: WEEKS });
  const [recency, , noise] = table.features.map(({ values }) => values);
  const first = WEEKS - HORIZON_WEEKS - 1;
  const labels = table.labels.map((label, row) => {
    if (Number.isNaN(label)) return NaN;
    const [told, luck] = [recency![row]!, noise![row]!];
    const isNew = row >= first * 60 && luck > 0.9;
    const channel = isNew ? "phone" : luck < 0.1 ? "web" : told < -0.3 ? "app" : told < 0.3 ? "shop" : "web";
    return names.indexOf(channel) % names.length;
  });
  return { ...table, labels, labelCategories: names };
}

const body = (changes: Record<string, unknown>) =>
  reorder({
    label: { source: "user_events", aggregate: "next", field: "channel", within: "P14D" },
    task: "multiclass",
    ...changes,
  });

Deno.test("a text label names the classes of the model, of its answers and of what is monitored", async () => {
  await using stand = await startStand();
  const { service, features } = stand;
  const { bus } = service;
  await using serving = await startTestService("model-serving", servingConfig, createServing, { bus });
  await using monitoring = await startTestService("model-monitoring", monitoringConfig, createMonitoring, {
    bus,
  });
  await monitoring.call(putMonitor, {
    project: "shop",
    name: "channel-drift",
    body: { kind: "drift", model, statistic: "psi", minRows: 4, minFeatures: 1 },
  });
  features.table = channels();
  await service.call(putModel, {
    project: "shop",
    name: model,
    body: body({
      algorithm: "random_forest",
      parameters: { trees: 30, classWeights: { shop: 2 } },
      metric: "f1",
    }),
  });
  const version = await train(service);

  const detail = await service.call(getVersion, { model, version });
  assertEquals(
    detail.signature.classes,
    ["app", "shop", "web"],
    "what came up later is no class of the model",
  );
  const { curves } = await service.call(getCard, { model, version });
  const { classes, confusion, shap } = curves!;
  assertEquals(classes.map((own) => own.class), ["app", "shop", "web", "phone"]);
  const phone = classes[3]!;
  assertEquals([phone.trainRows, phone.precision, phone.recall, phone.f1], [0, null, 0, 0]);
  assertGreater(phone.rows, 0);
  assertEquals(confusion[3]!.reduce((sum, count) => sum + count, 0), phone.rows);
  assertEquals(
    classes.map(({ trainRows }) => trainRows).reduce((sum, rows) => sum + rows),
    detail.evaluation!.trainRows,
  );
  assertEquals(shap[0]!.feature, "orders.recency");
  assertEquals(Object.keys(shap[0]!.byClass!), ["app", "shop", "web"]);
  const output = detail.referenceBins.find(({ name }) => name === "output")!;
  assertEquals([output.categories, output.counts.length], [["app", "shop", "web"], 4]);
  assertEquals(detail.referenceBins.slice(-3).map((bins) => [bins.name, bins.class]), [
    ["output/app", "app"],
    ["output/shop", "shop"],
    ["output/web", "web"],
  ]);

  const file = readModel(await bus.files.get(detail.sha256));
  const golden: GoldenRows = JSON.parse(file.metadata[MODEL_METADATA.goldenRows]!);
  assertEquals([golden.rows.length, golden.outputs[0]!.length], [5, 3]);

  await promote(service, version);
  await serving.call(putDeployment, { project: "shop", name: model, body: {} }, { timeoutMs: 20_000 });
  await eventually(async () => {
    const { models } = await serving.call(servedModels, {});
    assertEquals(models.map(({ state, error }) => [state, error]), [["ready", null]]);
  });
  const [recency, spend, noise] = golden.rows[0]!;
  const row = { "orders.recency": recency, "orders.spend": spend, "orders.noise": noise };
  const ask = async (count = 1): Promise<ReplyOf<typeof predict>["predictions"][number]> =>
    (await serving.call(predict, { model, rows: new Array(count).fill(row), explain: true })).predictions[0]!;
  const answer = await ask();
  const likely = Object.values(answer.probabilities!);
  likely.forEach((probability, number) => assertAlmostEquals(probability, golden.outputs[0]![number]!, 1e-5));
  assertEquals(Object.keys(answer.probabilities!), ["app", "shop", "web"]);
  assertEquals(answer.class, ["app", "shop", "web"][likely.indexOf(Math.max(...likely))]);
  const { unit, raw, ...own } = answer.explanation!;
  assertEquals([unit, raw!.unit], ["probability", "scores"]);
  const sumsOf = ({ base, contributions }: typeof own) =>
    likely.map((_, number) =>
      Object.values(contributions).reduce(
        (sum: number, parts) => sum + (parts as number[])[number]!,
        (base as number[])[number]!,
      )
    );
  sumsOf(own).forEach((sum, number) => assertAlmostEquals(sum, likely[number]!, 1e-6));
  const scores = sumsOf(raw!);
  const sum = scores.reduce((total, score) => total + score);
  scores.forEach((score, number) => assertAlmostEquals(score / sum, likely[number]!, 1e-5));

  const records = await eventually(async () => {
    const found = await storedPredictions(bus);
    assert(found.length > 0);
    return found;
  });
  assertEquals(records[0]!.data.probabilities, answer.probabilities);
  await ask(40);
  await eventually(async () => {
    const { windows: [window] } = await monitoring.call(drift, { model });
    assertEquals(window?.rows, 41);
    const drifting = window!.features.filter(({ psi }) => psi > 0.25).map(({ name }) => name);
    // All rows are alike: the likeliest class, and the probability of each, are others than in training.
    for (const name of ["output", "output/app", "output/shop", "output/web"]) {
      assert(drifting.includes(name), name);
    }
  });

  // A later version that knows the new class is compared by the names, not the numbers.
  const renamed = channels(["app", "shop", "web"]);
  features.table = renamed;
  await service.call(putModel, {
    project: "shop",
    name: model,
    body: body({ algorithm: "gbdt", parameters: { rounds: 20 }, metric: "log_loss" }),
  });
  const comparison = await compare(service, await train(service));
  assertGreater(comparison.rows, 100);
  assert(comparison.championValue !== null && comparison.championValue < comparison.baselineValue!);
});

Deno.test("a binary text label answers the probability of its positive class, and says of which", async () => {
  await using stand = await startStand();
  const { service, features } = stand;
  await using serving = await startTestService("model-serving", servingConfig, createServing, {
    bus: service.bus,
  });
  const table = observe({ weeks: WEEKS });
  features.table = { ...table, labelCategories: ["goes", "stays"] };
  const put = (changes: Record<string, unknown>) =>
    service.call(putModel, {
      project: "shop",
      name: model,
      body: reorder({ algorithm: "logistic", parameters: {}, ...changes }),
    });
  await put({});
  await train(service);
  await put({ positiveClass: "goes" });
  const version = await train(service);
  const [plain, turned] = await Promise.all(
    [1, 2].map((version) => service.call(getVersion, { model, version })),
  );
  assertEquals([plain!.signature.classes, turned!.signature.classes], [["goes", "stays"], ["stays", "goes"]]);
  assertAlmostEquals(plain!.evaluation!.model["auc"]!, turned!.evaluation!.model["auc"]!, 1e-9);
  assertAlmostEquals(plain!.evaluation!.baseRate, 1 - turned!.evaluation!.baseRate, 1e-9);

  await promote(service, version);
  await serving.call(putDeployment, { project: "shop", name: model, body: {} }, { timeoutMs: 20_000 });
  await eventually(async () => {
    assertEquals((await serving.call(servedModels, {})).models[0]?.state, "ready");
  });
  const rows = [{ "orders.recency": 1, "orders.spend": 0.5, "orders.noise": 0.5 }];
  const { predictions: [answer] } = await serving.call(predict, { model, rows });
  assertEquals(answer!.class, "stays");
  assertEquals(answer!.probabilities, { stays: 1 - answer!.output, goes: answer!.output });
  assertGreater(0.3, answer!.output);

  await put({});
  features.table = { ...table, labels: table.labels.with(0, 2), labelCategories: ["goes", "stays", "waits"] };
  const { id } = await service.call(startRun, { model });
  assertStringIncludes(
    (await ended(service, id)).error!,
    'its label has the classes "goes", "stays", "waits", and must have two',
  );
});
