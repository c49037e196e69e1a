import { assert, assertEquals, assertGreater, assertLess, assertStringIncludes } from "@std/assert";
import { annotateVersion, getCard, putModel } from "shared/contracts/model_training.ts";
import { startTestBus } from "shared/testing/bus.ts";
import { createTestDatabase } from "shared/testing/database.ts";
import { startTestFeatureStore } from "./testing/feature_store.ts";
import { observe } from "./testing/observations.ts";
import { compare, model, promote, put, reorder, start, startStand, train, WEEKS } from "./testing/stand.ts";

Deno.test("a model card tells what a version is, was learnt from and is worth, as JSON and as a page", async () => {
  await using stand = await startStand();
  const { service } = stand;
  const body = reorder({
    description: "Who orders again <b>soon</b>",
    search: {
      method: "halving",
      space: { maxLeaves: { min: 2, max: 16, integer: true }, learningRate: { values: [0.05, 0.3] } },
      budget: { trials: 4 },
    },
  });
  await service.call(putModel, put(body));
  await train(service, { gitRevision: "4f2a" });
  const comparison = await compare(service, 1);
  await promote(service, 1, "it beat the baseline");
  await service.call(annotateVersion, { model, version: 1, notes: "<script>alert(1)</script>" });

  const card = await service.call(getCard, { model, version: 1 });
  assertEquals(card.run.trials.map(({ trial }) => trial), [1, 2, 3, 4, 5]);
  assertEquals(card.run.trials[0]!.parameters["maxLeaves"], 8, "what is declared is tried as well");
  assertLess(card.run.trials[0]!.rows, card.run.trials[4]!.rows);
  const best = card.run.trials.at(-1)!.parameters;
  assertEquals(card.run.parameters, best, "the model is fitted with what the search has found");
  assertEquals([card.run.gitRevision, card.run.environment["deno"]], ["4f2a", Deno.version.deno]);
  const { at, ...look } = card.run.testLook!;
  assertEquals(look, {
    actor: "anonymous",
    rows: 180,
    from: "2026-04-20T00:00:00.000Z",
    until: "2026-05-04T00:00:00.000Z",
    tried: 5,
    before: 0,
  });
  assert(card.run.createdAt <= at && at <= card.run.finishedAt!);
  assertEquals(card.comparisons.map(({ id, passed }) => [id, passed]), [[comparison.id, true]]);
  assertEquals(card.moves.map(({ alias, reason }) => [alias, reason]), [[
    "champion",
    "it beat the baseline",
  ]]);
  assertEquals(Object.keys(card.version.inputExample!), ["orders.recency", "orders.spend", "orders.noise"]);
  const { roc, calibration, importances } = card.curves!;
  assertEquals([roc[0], roc.at(-1)!.truePositiveRate, roc.at(-1)!.falsePositiveRate], [
    { threshold: null, falsePositiveRate: 0, truePositiveRate: 0 },
    1,
    1,
  ]);
  const area = roc.slice(1).reduce(
    (sum, { falsePositiveRate: x, truePositiveRate: y }, index) =>
      sum + (x - roc[index]!.falsePositiveRate) * (y + roc[index]!.truePositiveRate) / 2,
    0,
  );
  assertLess(Math.abs(area - card.version.evaluation!.model["auc"]!), 0.01);
  assertEquals(calibration.reduce((sum, { rows }) => sum + rows, 0), card.version.evaluation!.rows);
  assertEquals(importances[0]!.feature, "orders.recency");
  assertGreater(importances[0]!.gain, 0.5);

  const response = await fetch(`${service.url}/v1/models/${model}/versions/1/card.html`);
  assertStringIncludes(response.headers.get("content-security-policy")!, "default-src 'none'");
  const page = await response.text();
  const { slices, permutation, shap, decision, confusion, baselines } = card.curves!;
  assertEquals(Object.keys(baselines), ["prior", "last_value"]);
  assert(
    slices.length > 5 && slices.every(({ interval, metrics }) => {
      const value = metrics["log_loss"]!;
      return interval![0] <= value && value <= interval![1];
    }),
  );
  const five = (value: number) => String(Number(value.toPrecision(5)));
  const shown = [
    ...[
      "ROC",
      "Precision and recall",
      "Calibration",
      "Loss by round",
      "Distributions in training",
      "Trials",
      "4f2a",
    ],
    "was looked at once",
    "The search had tried 5 candidates before, on validation only",
    "No run had looked at these rows before",
    five(baselines["last_value"]!["log_loss"]!),
    five(slices[0]!.interval![0]),
    five(permutation[0]!.loss),
    five(shap[0]!.magnitude),
    five(decision!.threshold),
    `${confusion[1]![1]}<br>`,
    comparison.reasons[0]!.split(":")[0]!.replaceAll("'", "&#39;"),
    "it beat the baseline",
    card.version.trainingSet!,
    Deno.version.v8,
    "made of what had happened and was known at its T",
    "from the views orders 3",
    "user_events",
  ];
  for (const text of shown) assertStringIncludes(page, text);
  for (const name of ["recency", "spend", "noise"]) assertStringIncludes(page, `orders.${name}`);
  assertEquals(page.includes("<script"), false);
  assertStringIncludes(page, "&lt;script&gt;alert(1)");
  assertStringIncludes(page, "&lt;b&gt;soon");
  const addresses = [...page.matchAll(/\b(?:href|src)="?([^" >]*)/g)].map(([, address]) => address!);
  assert(addresses.every((address) => address.startsWith("#")), `the page asks for ${addresses}`);
});

Deno.test("a run tells how many had looked at the same test part before it", async () => {
  await using stand = await startStand();
  const { service } = stand;
  await train(service);
  const looks = await Promise.all([1, await train(service)].map(async (version) => {
    const { run: { testLook } } = await service.call(getCard, { model, version });
    return [testLook!.tried, testLook!.before];
  }));
  assertEquals(looks, [[0, 0], [0, 1]]);
  const before = async () => {
    const { run } = await service.call(getCard, { model, version: await train(service) });
    return run.testLook!.before;
  };
  // Fewer rows, which have been looked at; then those of another training set.
  await service.call(putModel, put(reorder({ split: { test: "P14D" } })));
  assertEquals(await before(), 2);
  stand.features.table = observe({ weeks: WEEKS + 1 });
  assertEquals(await before(), 0);
  const page = await (await fetch(`${service.url}/v1/models/${model}/versions/2/card.html`)).text();
  assertStringIncludes(page, "1 run had looked at these rows before: the value may be chosen from");
});

Deno.test("a card of a version that was made before something was computed has none of it", async () => {
  await using bus = await startTestBus();
  await using database = await createTestDatabase("model-training");
  await using _features = await startTestFeatureStore(bus, observe({ weeks: WEEKS }));
  await using service = await start({ bus, databaseUrl: database.url });
  await service.call(putModel, put());
  await train(service);
  await database.db`
    update versions
    set curves = (curves::jsonb - 'classes' - 'baselines' - 'shap' || jsonb_build_object(
      'slices', (select jsonb_agg(slice - 'interval') from jsonb_array_elements(curves::jsonb -> 'slices') slice)))::json`;
  const { curves } = await service.call(getCard, { model, version: 1 });
  assertEquals([curves!.classes, curves!.baselines, curves!.shap], [[], {}, []]);
  assert(curves!.slices.length > 0 && curves!.slices.every(({ interval }) => interval === null));
  const page = await fetch(`${service.url}/v1/models/${model}/versions/1/card.html`);
  assertEquals(page.status, 200);
  assertStringIncludes(await page.text(), "Slices");
});
