import { assert, assertEquals, assertGreater, assertLess, assertStringIncludes } from "@std/assert";
import { annotateVersion, getCard, putModel } from "shared/contracts/model_training.ts";
import { compare, model, promote, put, reorder, startStand, train } from "./testing/stand.ts";

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
  for (const shown of ["ROC", "Calibration", "Importances", "Distributions in training", "Trials", "4f2a"]) {
    assertStringIncludes(page, shown);
  }
  assertEquals(page.includes("<script"), false);
  assertStringIncludes(page, "&lt;script&gt;alert(1)");
  assertStringIncludes(page, "&lt;b&gt;soon");
  const addresses = [...page.matchAll(/\b(?:href|src)="?([^" >]*)/g)].map(([, address]) => address!);
  assert(addresses.every((address) => address.startsWith("#")), `the page asks for ${addresses}`);
});
